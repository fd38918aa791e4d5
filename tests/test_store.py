from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import fer_opt
from fer_opt.errors import OutputError
from fer_opt.experiment.store import Entry, StepStore, default_store, key_of, made_by


def entry(key: str, made: str = "2026-01-02T03:04:05+00:00") -> Entry:
    return Entry(key, "xcao", "prune_channels(0.5)", made, 1.5, ("a note",))


def test_what_is_added_is_found_whole(tmp_path):
    store = StepStore(tmp_path / "cache")
    assert store.find("a") is None
    store.add(entry("a"), lambda path: path.write_bytes(b"network"))
    assert store.find("a") == entry("a")
    assert store.network_path("a").read_bytes() == b"network"
    store.add(entry("b", "2026-01-01T00:00:00+00:00"), lambda path: path.write_bytes(b"x" * 99))
    assert [item.key for item in store.entries()] == ["b", "a"]
    assert store.size_bytes() == store.size_bytes("a") + store.size_bytes("b") > 99


def test_a_result_whose_writing_failed_is_not_there(tmp_path):
    store = StepStore(tmp_path)

    def killed(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.add(entry("a"), killed)
    assert store.find("a") is None
    assert store.entries() == ()
    assert store.size_bytes() == 0


def test_a_damaged_entry_counts_as_missing_and_is_replaced(tmp_path):
    store = StepStore(tmp_path)
    store.add(entry("a"), lambda path: path.write_bytes(b"network"))
    (tmp_path / "steps" / "a" / "step.json").write_text("{")
    assert store.find("a") is None
    store.add(entry("a"), lambda path: path.write_bytes(b"again"))
    assert store.find("a") == entry("a")
    store.network_path("a").unlink()
    assert store.find("a") is None


def test_clearing_removes_results_and_nothing_else(tmp_path):
    store = StepStore(tmp_path)
    (tmp_path / "mine.txt").write_text("keep me")
    store.add(entry("a"), lambda path: path.write_bytes(b"network"))
    assert store.clear() == 1
    assert store.clear() == 0
    assert (tmp_path / "mine.txt").exists()
    assert store.entries() == ()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        StepStore(tmp_path / "file").add(entry("a"), lambda path: path.write_bytes(b""))


def test_the_key_depends_on_every_fact_and_not_on_their_order():
    facts = {"step": "int8", "before": "0", "seed": 1}
    assert key_of(facts) == key_of(dict(reversed(facts.items())))
    assert len({key_of({**facts, key: "other"}) for key in facts} | {key_of(facts)}) == 4


def test_a_changed_step_is_other_code_at_the_same_version(tmp_path, monkeypatch):
    here = Path(fer_opt.__file__).parent
    copy = shutil.copytree(here, tmp_path / "fer_opt", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fer_opt, "__file__", str(copy / "__init__.py"))
    first = made_by.__wrapped__()
    assert first == made_by(), "wherever it is installed"
    assert {"tensorflow", "tf-keras", "tensorflow-model-optimization"} <= first.keys()
    with (copy / "compress" / "channels" / "scores.py").open("a") as file:
        file.write("# changed\n")
    assert made_by.__wrapped__() != first


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_OPT_CACHE", str(tmp_path / "here"))
    assert default_store().folder == tmp_path / "here"
    monkeypatch.delenv("FER_OPT_CACHE")
    assert default_store().folder.name == "fer-opt"


def test_an_entry_is_readable_json(tmp_path):
    StepStore(tmp_path).add(entry("a"), lambda path: path.write_bytes(b"network"))
    assert (
        json.loads((tmp_path / "steps/a/step.json").read_text())["recipe"] == "prune_channels(0.5)"
    )
