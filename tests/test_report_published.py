"""The thesis's tables, checked against their own arithmetic."""

from __future__ import annotations

import pytest

from fer_opt.convention import AFFECTNET_LABELS, FER2013_LABELS, canonical_label
from fer_opt.reports.published import TABLE_NUMBERS, published_table


@pytest.mark.parametrize("number", TABLE_NUMBERS)
def test_every_table_says_where_it_stands(number):
    table = published_table(number)
    first, last = table.pages
    assert table.number == number
    assert table.caption
    assert first <= last
    assert table.where == f"Table {number}, section {table.section} (pages {first}–{last})"
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_there_is_no_ninth_table():
    with pytest.raises(KeyError):
        published_table(9)


@pytest.mark.parametrize(("number", "total"), [(1, 35_887), (2, 414_798)])
def test_dataset_tables_add_up(number, total):
    counts = {row["label"]: row["images"] for row in published_table(number).records()}
    assert counts.pop("total") == total == sum(counts.values())


def test_dataset_labels_are_the_ones_the_conventions_name():
    kaggle = [row["label"] for row in published_table(1).records()][:-1]
    affectnet = [row["label"] for row in published_table(2).records()][:8]
    assert tuple(kaggle) == FER2013_LABELS
    assert tuple(affectnet) == AFFECTNET_LABELS


def test_baseline_misprint_is_kept_and_noted():
    table = published_table(5)
    parameters = {row["name"]: row["parameters"] for row in table.records()}
    assert parameters["baseline"] == 102_839_056
    # The enhanced baseline adds batch normalization: 768 and 32 parameters.
    assert parameters["baseline_enhanced"] - (768 + 32) == 102_830_056
    assert "102,830,056" in table.notes[0]


def test_table_6_has_five_epochs_and_the_test_set():
    epochs = [row["epoch"] for row in published_table(6).records()]
    assert epochs == ["1", "2", "3", "4", "5", "Test set"]


def test_table_7_percentages_follow_from_its_counts():
    rows = published_table(7).records()
    for row in rows:
        total = row["correct"] + row["misclassified"]
        assert row["accuracy_percent"] == 100 * row["correct"] // total
    assert [canonical_label(row["label"]) for row in rows] == list(AFFECTNET_LABELS)
    contempt = rows[-1]
    assert (contempt["correct"], contempt["misclassified"]) == (0, 317)
    correct = sum(row["correct"] for row in rows)
    assert correct / (correct + sum(row["misclassified"] for row in rows)) == pytest.approx(
        0.7550, abs=5e-5
    )


def test_table_8_adds_up_within_its_rounding():
    rows = {row["step"]: row for row in published_table(8).records()}
    total = rows.pop("Total")
    assert len(rows) == 5
    assert sum(row["mean_ms"] for row in rows.values()) == pytest.approx(total["mean_ms"], abs=0.1)
    assert sum(row["sd_ms"] for row in rows.values()) == pytest.approx(total["sd_ms"], abs=0.1)
