"""One phone's part of a report, as data that HTML and Markdown render alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fer_opt.reports.fact_tables import facts_tables
from fer_opt.reports.phones.facts import about, phone_facts, phone_order
from fer_opt.reports.phones.story import PhoneStory, kind_badge, tell_phone, trust_badge
from fer_opt.reports.phones.summary import PhoneSummary
from fer_opt.reports.phones.tables import models_table, operators_table, overview_table
from fer_opt.reports.tables import Table, Tone

__all__ = ["PhonePage", "PhonePages", "phone_pages"]


@dataclass(frozen=True, slots=True)
class PhonePage:
    """What is said of one phone.

    Attributes:
        number: of the phone in its record, counted from 1.
        label: what a person would call it.
        badges: that it is no real phone, and whether its times may be believed.
        about: what it is and its state, in a few words each.
        story: the verdict in sentences.
        models: what each model costs on it.
        operators: where their time goes; None where nobody asked.
        facts: everything needed to judge and to repeat.
        order: of the processes, a line for each round; empty of an emulator's.
    """

    number: int
    label: str
    badges: tuple[tuple[str, Tone], ...]
    about: tuple[str, ...]
    story: PhoneStory
    models: Table
    operators: Table | None
    facts: tuple[Table, ...]
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PhonePages:
    """All phones of a record.

    Attributes:
        title: of the section, e.g. ``the phone``; says so where none is real.
        overview: a table of all, where there are several.
        pages: what is said of each.
    """

    title: str
    overview: Table | None
    pages: tuple[PhonePage, ...]


def phone_pages(phones: Sequence[PhoneSummary]) -> PhonePages:
    """Put every phone's run into words and tables."""
    pages = tuple(_page(phone) for phone in phones)
    return PhonePages(_title(phones), overview_table(phones), pages)


def _title(phones: Sequence[PhoneSummary]) -> str:
    virtual = bool(phones) and not any(phone.real for phone in phones)
    return f"the {'virtual ' if virtual else ''}phone{'s' if len(phones) > 1 else ''}"


def _page(phone: PhoneSummary) -> PhonePage:
    badges = (kind_badge(phone), trust_badge(phone))
    return PhonePage(
        number=phone.number,
        label=phone.run.label,
        badges=tuple(badge for badge in badges if badge is not None),
        about=about(phone),
        story=tell_phone(phone),
        models=models_table(phone),
        operators=operators_table(phone),
        facts=tuple(
            replace(table, name=f"phone-{phone.number}-{table.name}")
            for table in facts_tables(phone_facts(phone))
        ),
        order=() if phone.emulated else phone_order(phone),
    )
