"""A gate on a phone: adjacent pairs between canaries, stopped early, resumed, trusted or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from gate_models import make_gate_models
from phone_bench import write_runner

from fer_opt.device.adb.connection import Connection
from fer_opt.device.phone.files import model_name
from fer_opt.device.phone.results import PhoneSettings
from fer_opt.device.virtual import VirtualPhone, start_virtual_phone
from fer_opt.errors import MeasurementError
from fer_opt.experiment.gate_request import GateRequest, gate_jobs
from fer_opt.experiment.gating import gate
from fer_opt.experiment.gating_phone import refuse_emulated
from fer_opt.reports.gate.decision import GateSettings, plan_pairs
from fer_opt.reports.gate.judging import judged
from fer_opt.reports.gate.measured import first_places
from fer_opt.reports.gate.record import GateRecord, read_gate_record
from fer_opt.reports.gate.story import tell_gate

SPREAD = """
each=$((5000 + $(head -c 1 /dev/urandom | od -An -tu1) / 2))
case $graph in *%s*) each=$((each * %s / 10)) ;; esac
"""
"""Times that differ from process to process; those of one model are so many tenths of them."""


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    make_gate_models(folder)
    return folder


@pytest.fixture(scope="module")
def phone(tmp_path_factory) -> Iterator[VirtualPhone]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.delenv("ADB_VENDOR_KEYS", raising=False)
        with start_virtual_phone() as phone:
            yield phone


def request(
    phone: VirtualPhone,
    models: Path,
    runner: Path | None,
    *,
    baseline: str | None = "light",
    looks: tuple[int, ...] = (8, 12),
    canary_limit: float = 1000.0,
) -> GateRequest:
    file = None if baseline is None else models / f"{baseline}.tflite"
    base, candidates = gate_jobs(file, [models / "heavy.tflite"], ["heavy"])
    return GateRequest(
        candidates=candidates,
        baseline=base,
        on=phone.address,
        settings=GateSettings(looks=looks),
        phone=PhoneSettings(
            runs=2, warm_up_runs=2, canary_limit=canary_limit, cool_down_s=0.0, tries=1
        ),
        runner=runner,
    )


def runner_for(folder: Path, models: Path, tenths: int) -> Path:
    name = model_name(gate_jobs(None, [models / "heavy.tflite"], ["heavy"])[1][0].sha256)
    return write_runner(folder / "runner", SPREAD % (name.split(".")[0], tenths))


def run(asked: GateRequest, folder: Path, **options: object) -> GateRecord:
    return gate(asked, folder, command="fer-opt gate", **options)  # type: ignore[arg-type]


def test_a_slower_model_fails_after_eight_adjacent_pairs(phone, models, tmp_path, monkeypatch):
    asked = request(phone, models, runner_for(tmp_path, models, 15))
    record = run(asked, tmp_path / "gate")
    (one,) = record.comparisons
    assert record.outcome == "fail", one.invalid
    assert one.verdict.ratio == pytest.approx(1.5, rel=0.05)
    assert one.verdict.pairs == 8
    run_of_phone = one.phone
    assert (run_of_phone.complete, run_of_phone.settings.rounds) == (True, 8)
    # Each round is a pair in the planned order, its processes next to each other.
    assert first_places(one) == plan_pairs(asked.settings)[:8]
    order = [(m.round_index, m.order_index) for m in run_of_phone.measurements]
    assert order == [(index // 2, index) for index in range(16)]
    assert len(run_of_phone.checks) == 8
    assert run_of_phone.measurements[0].before.battery_percent is not None
    assert record.device.kind == "virtual"
    assert "not a phone's" in tell_gate(record).mark
    assert read_gate_record(tmp_path / "gate/record.json") == record
    # Once it is decided, the phone is not needed to say so again.
    monkeypatch.setattr(Connection, "open", None)
    assert run(asked, tmp_path / "gate") == record


def test_an_equal_model_passes(phone, models, tmp_path):
    record = run(request(phone, models, runner_for(tmp_path, models, 10)), tmp_path / "gate")
    assert record.outcome in ("pass", "inconclusive")
    assert record.comparisons[0].verdict.ratio == pytest.approx(1, rel=0.05)


def test_a_lost_phone_is_gone_on_with(phone, models, tmp_path, monkeypatch):
    asked = request(phone, models, runner_for(tmp_path, models, 15), looks=(8,))
    timed = 0
    really_open = Connection.open

    def lose(self: Connection, service: bytes) -> object:
        nonlocal timed
        timed += b"--graph" in service
        if timed > 20:
            raise KeyboardInterrupt
        return really_open(self, service)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "open", lose)
        with pytest.raises(KeyboardInterrupt):
            run(asked, tmp_path / "gate")
    before = read_gate_record(tmp_path / "gate/record.json").comparisons[0].phone
    assert 0 < len(before.measurements) < 16
    record = run(asked, tmp_path / "gate")
    after = record.comparisons[0].phone
    assert after.measurements[: len(before.measurements)] == before.measurements
    assert len(after.measurements) == 16
    assert len({one.session for one in after.measurements}) == 2
    assert record.outcome == "fail", record.comparisons[0].invalid


def test_a_throttled_phone_is_no_verdict_and_is_measured_anew(phone, models, tmp_path):
    # Every process takes a tenth longer than the one before it.
    # The count stands beside the runner, the one place a walled-off phone can write to.
    slower = """
    count=$(cat "$0.count" 2>/dev/null || echo 10)
    echo $((count + 1)) >"$0.count"
    each=$((count * 500))
    """
    runner = write_runner(tmp_path / "runner", slower)
    asked = request(phone, models, runner, canary_limit=1.1)
    record = run(asked, tmp_path / "gate")
    assert record.outcome == "invalid"
    (one,) = record.comparisons
    assert any("throttled" in reason for reason in one.invalid)
    assert one.verdict is None
    # It did not go on measuring what would not be judged.
    assert len(one.phone.measurements) < 16
    said: list[str] = []

    class Listening:
        def stage(self, title, total):
            from fer_opt.progress import SILENT

            return SILENT.stage(title, total)

        def say(self, sentence):
            said.append(sentence)

    run(asked, tmp_path / "gate", progress=Listening())
    assert any("not valid; measuring anew" in sentence for sentence in said)


def test_a_model_that_fails_there_is_no_verdict(phone, models, tmp_path):
    name = model_name(gate_jobs(None, [models / "heavy.tflite"], ["heavy"])[1][0].sha256)
    fails = f'case $graph in *{name.split(".")[0]}*) echo "ERROR: no"; exit 1 ;; esac'
    asked = request(phone, models, write_runner(tmp_path / "runner", fails))
    record = run(asked, tmp_path / "gate")
    assert record.outcome == "invalid"
    assert "heavy" in " ".join(record.comparisons[0].invalid)


def test_budgets_alone_are_judged_on_the_candidate_s_processes(phone, models, tmp_path):
    from fer_opt.reports.gate.budgets import LatencyBudget

    asked = request(phone, models, runner_for(tmp_path, models, 10), baseline=None, looks=(8,))
    asked = dataclasses.replace(asked, budgets=(LatencyBudget("classify", 100.0, 50.0),))
    record = run(asked, tmp_path / "gate")
    (one,) = record.comparisons
    assert record.outcome == "pass", one
    assert len(one.phone.measurements) == 8
    assert judged(record, [LatencyBudget("classify", 1.0, 50.0)]).outcome == "fail"


def test_an_emulator_s_times_are_refused():
    from sample_phone_run import sample_phone_run

    run_of_phone = sample_phone_run()
    device = dataclasses.replace(run_of_phone.device, kind="emulated")
    refuse_emulated(run_of_phone)
    with pytest.raises(MeasurementError, match="emulator"):
        refuse_emulated(dataclasses.replace(run_of_phone, device=device))


def test_a_phone_that_is_not_there_is_no_verdict_and_no_end(phone, models, tmp_path):
    asked = dataclasses.replace(request(phone, models, None), on="tcp:127.0.0.1:9")
    record = run(asked, tmp_path / "gate")
    assert record.outcome == "invalid"
    assert "127.0.0.1:9" in record.comparisons[0].invalid[0]
    # It is not written down as a result: the same command tries again.
    assert read_gate_record(tmp_path / "gate/record.json").outcome is None


@pytest.mark.slow
@pytest.mark.alone
def test_real_models_on_a_virtual_phone(phone, models, tmp_path):
    record = run(request(phone, models, None), tmp_path / "gate")
    (one,) = record.comparisons
    assert one.verdict is None or one.verdict.ratio > 1.5
    assert record.outcome in ("fail", "invalid")
