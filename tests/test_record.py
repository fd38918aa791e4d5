from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_record import sample_record

from fer_opt.errors import OutputError, RecordError
from fer_opt.reports.record import (
    SCHEMA_VERSION,
    RunRecord,
    json_schema,
    read_record,
    write_record,
)

DOCUMENTED = Path(__file__).parent.parent / "docs" / "record.schema.json"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_record_reads_back_what_was_written(compressed, tmp_path):
    record = sample_record(compressed=compressed)
    write_record(record, tmp_path / "record.json")
    assert read_record(tmp_path / "record.json") == record


@pytest.mark.parametrize("compressed", [False, True])
def test_a_record_fits_its_documented_schema(compressed, tmp_path):
    write_record(sample_record(compressed=compressed), tmp_path / "record.json")
    schema = json.loads(DOCUMENTED.read_text())
    jsonschema.validate(json.loads((tmp_path / "record.json").read_text()), schema)
    assert schema == json_schema(), "docs/record.md says how to make the schema again"


def altered(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "record.json"
    write_record(sample_record(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 999}, "schema version 999"),
        ({"schema_version": None}, "schema version None"),
        ({"target_ms": "soon"}, "target_ms"),
        ({"surprise": 1}, "surprise"),
        ({"variants": [{}]}, "variants"),
    ],
)
def test_records_that_cannot_be_trusted_are_refused(changes, message, tmp_path):
    with pytest.raises(RecordError, match=message) as caught:
        read_record(altered(tmp_path, **changes))
    assert "record.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def of_version(version: int, record: RunRecord) -> dict[str, Any]:
    """``record`` as a fer-opt of that version would have written it."""
    old = json.loads(json.dumps(dataclasses.asdict(record))) | {"schema_version": version}
    del old["stages"]
    if version > 2:
        return old
    del old["phones"]
    for one in old["measurements"]:
        del one["summary"], one["clock_s"], one["attempt"]
        for moment in ("before", "after"):
            for field in ("limit_mhz", "battery_percent", "battery_c"):
                del one[moment][field]
    if version == 1:
        del old["trained"], old["refused"]
        for variant in old["variants"]:
            del variant["steps"]
    return old


@pytest.mark.parametrize(
    ("version", "compressed"), [(1, False), (2, False), (2, True), (3, True), (4, True)]
)
def test_older_records_are_read_as_ones_without_what_they_lack(version, compressed, tmp_path):
    record = sample_record(compressed=compressed)
    path = tmp_path / "record.json"
    path.write_text(json.dumps(of_version(version, record)))
    found = read_record(path)
    assert found == record
    assert found.schema_version == SCHEMA_VERSION == 5
    assert found.phones == found.stages == ()


@given(st.binary(max_size=60))
def test_foreign_files_are_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "foreign.json"
        path.write_bytes(content)
        with pytest.raises(RecordError, match=r"foreign\.json"):
            read_record(path)


def test_a_failed_write_leaves_the_old_record(tmp_path, monkeypatch):
    record = sample_record()
    path = tmp_path / "record.json"
    write_record(record, path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match="No space left"):
        write_record(dataclasses.replace(record, name="new"), path)
    assert read_record(path) == record
    assert [item.name for item in tmp_path.iterdir()] == ["record.json"]
