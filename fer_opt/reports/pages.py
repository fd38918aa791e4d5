"""Templates filled in: pages that are complete in themselves and load nothing."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["fill_page"]


def fill_page(template: str, *, charts: bool, **values: Any) -> str:
    """The template of that name with everything it needs inline; all text is escaped.

    Args:
        template: its file's name.
        charts: whether the page has any, and so must carry what draws them (0.9 MB).
        values: the template's own.
    """
    from markupsafe import Markup

    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(_asset("report.css")),
            script=Markup(_asset("charts.js")) if charts else "",
            vega=Markup(_vega()) if charts else "",
            **values,
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("fer_opt.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    made.filters["by_step"] = _by_step
    return made


def _by_step(text: str) -> Markup:
    """``text``, escaped; where it is a recipe of several steps, lines break between steps first."""
    from markupsafe import Markup

    steps = text.split(" > ")
    if len(steps) == 1:
        return Markup("{}").format(text)
    spans = [Markup('<span class="step">{}\u00a0&gt;</span>').format(step) for step in steps[:-1]]
    return Markup(" ").join([*spans, Markup('<span class="step">{}</span>').format(steps[-1])])


def _asset(name: str) -> str:
    return (resources.files("fer_opt.reports") / "templates" / name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Vega and Vega-Embed in one script.

    The bundler drops Vega's exports unless Vega-Embed is in it, so 0.9 MB is as small as it gets.
    """
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
