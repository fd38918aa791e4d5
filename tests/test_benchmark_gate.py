"""The gate keeps its promises, simulated and on this computer; broken ones are named."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from fer_opt.errors import RecordError
from fer_opt.reports.gate.decision import GateSettings, plan_pairs

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PAGE = Path(__file__).parents[1] / "docs" / "gate.md"


@pytest.fixture(scope="module")
def simulation() -> Iterator[ModuleType]:
    """benchmarks/gate_simulation.py, imported; what it imports is beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import gate_simulation

        yield gate_simulation


@pytest.fixture(scope="module")
def real() -> Iterator[ModuleType]:
    """benchmarks/gate_real.py, likewise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import gate_real

        yield gate_real


@pytest.mark.slow
def test_the_gate_keeps_its_promises_under_every_noise(simulation):
    sessions = 600
    rows = [simulation.simulated(family, sessions, seed=11) for family in simulation.FAMILIES]
    assert len(rows) == 8
    assert simulation.broken_promises(rows) == []
    for row in rows:
        # Exactly at the tolerance 1 % may fail; three standard deviations more are chance.
        assert row.tolerated.outcomes["fail"] <= 0.01 * sessions + 3 * np.sqrt(0.01 * sessions)
        assert row.slower.outcomes["pass"] <= 0.01 * sessions
    # The rules it replaces cry wolf on the same times.
    assert min(row.equal.failed["Mann-Whitney"] for row in rows) > 0.02 * sessions
    assert max(row.equal.failed["mean:10%, stored"] for row in rows) > 0.1 * sessions


def test_equal_models_differ_by_noise_alone(simulation):
    from gate_noise import simulate

    for family in simulation.FAMILIES:
        made = simulate(family, 1.0, 400, 5)
        assert made.baseline_ms.shape == made.candidate_ms.shape == (400, 24, 10)
        base, other = (np.median(times, axis=2) for times in (made.baseline_ms, made.candidate_ms))
        assert abs(np.median(np.log(other / base))) < 0.01
        slower = simulate(family, 1.1, 400, 5)
        assert slower.candidate_ms == pytest.approx(1.1 * made.candidate_ms)


def test_simulated_pairs_run_in_the_planned_order(simulation):
    """A machine that slows down process by process betrays which one ran first."""
    from gate_noise import PROCESSES, RUNS, Family, simulate

    def slowing(random: np.random.Generator, sessions: int) -> np.ndarray:
        steps = np.linspace(1, 2, PROCESSES)[np.newaxis, :, np.newaxis]
        return np.broadcast_to(steps, (sessions, PROCESSES, RUNS))

    made = simulate(Family("slowing", "", 0.0, 0.0, slowing), 1.0, 3, 70)
    for index in range(3):
        first = made.baseline_ms[index, :, 0] < made.candidate_ms[index, :, 0]
        order = plan_pairs(GateSettings(seed=70 + index))
        assert list(first) == [way == "AB" for way in order]


def test_a_broken_promise_of_the_simulation_is_named(simulation):
    row = simulation.simulated(simulation.FAMILIES[0], 400, seed=1)
    wolf = dataclasses.replace(row.equal, outcomes=Counter({"fail": 8, "pass": 392}))
    blind = dataclasses.replace(row.slower, outcomes=Counter({"fail": 380, "inconclusive": 20}))
    assert (
        "calm: equal models may fail"
        in simulation.broken_promises([dataclasses.replace(row, equal=wolf)])[0]
    )
    assert simulation.broken_promises([dataclasses.replace(row, slower=blind)]) == [
        "calm: only 95.0% of slower candidates are caught."
    ]


def test_tables_are_put_between_their_markers(simulation, tmp_path, capsys, monkeypatch):
    page = tmp_path / "gate.md"
    page.write_bytes(PAGE.read_bytes())
    monkeypatch.setattr(simulation, "FAMILIES", simulation.FAMILIES[:1])
    # Of so few sessions no upper bound can be below 1 %.
    monkeypatch.setattr(simulation, "LARGEST_FALSE_FAIL", 0.1)
    assert simulation.main(["--sessions", "50", "--publish", str(page)]) == 0
    text = page.read_text("utf-8")
    assert "50 sessions for each cell" in text
    assert text.startswith(PAGE.read_text("utf-8").split("<!-- simulation -->")[0])
    assert text.endswith(PAGE.read_text("utf-8").split("<!-- end of simulation -->")[1])
    assert "Every promise is kept" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.alone
def test_real_sessions_decide_are_kept_and_go_on(real, tmp_path, capsys):
    assert real.main(["--out", str(tmp_path), "--equal", "2", "--slower", "1"]) == 0
    table = capsys.readouterr().out
    assert "| the same file | 2 | 0 (" in table
    kept = sorted(tmp_path.glob("*/*.json"))
    assert len(kept) == 4
    # As after a kill: one session is cut short, one is whole.
    whole, cut = kept[0].read_bytes(), kept[1]
    pairs = real.kept(cut)
    cut.write_bytes(real.PAIRS.dump_json(pairs[:3]))
    assert real.main(["--out", str(tmp_path), "--equal", "2", "--slower", "1"]) == 0
    assert kept[0].read_bytes() == whole
    assert real.kept(cut)[:3] == pairs[:3]
    assert len(real.kept(cut)) >= 8


def test_a_damaged_session_is_refused(real, tmp_path):
    path = tmp_path / "0-000.json"
    path.write_text("[{")
    with pytest.raises(RecordError, match="holds no pairs; remove it"):
        real.kept(path)


def test_a_broken_promise_of_this_computer_is_named(real):
    def sessions(outcomes: str) -> list[object]:
        names = {"f": "fail", "p": "pass", "i": "inconclusive"}
        return [SimpleNamespace(verdict=SimpleNamespace(outcome=names[one])) for one in outcomes]

    equal, more10, more30 = real.CASES
    assert real.broken_promises({equal: sessions("ppppi"), more10: sessions("f" * 9 + "i")}) == []
    assert real.broken_promises({equal: sessions("pppf")}) == [
        "the same file: 1 of 4 sessions failed."
    ]
    assert len(real.broken_promises({more10: sessions("f" * 8 + "ii")})) == 1
    assert len(real.broken_promises({more30: sessions("f" * 9 + "i")})) == 1


def test_the_page_has_places_for_both_tables():
    text = PAGE.read_text("utf-8")
    for part in ("simulation", "real"):
        assert text.count(f"<!-- {part} -->") == text.count(f"<!-- end of {part} -->") == 1
