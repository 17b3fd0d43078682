from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from benchmarks.fuzz.judge import OUTCOMES
from benchmarks.fuzz.kinds import Kind
from benchmarks.fuzz.supervisor import BrokenKindError, Budget, Counts, Supervisor

from tests.benchmarks.fuzz.faulty_target import WAYS

FAULTY = Kind("faulty", "all faults", 1, 1, module="tests.benchmarks.fuzz.faulty_target")
CASES = 28
SEED = 2830


def way_of(case: int) -> str:
    return Random(f"faulty:{SEED}:{case}").choice(list(WAYS))


def test_every_fault_is_counted_and_its_input_is_kept(tmp_path: Path) -> None:
    chosen = Counter(map(way_of, range(CASES)))
    assert set(chosen) == set(WAYS)
    counts = Counts()
    with Supervisor([FAULTY], SEED, tmp_path / "scratch", tmp_path / "found", timeout=4) as runner:
        runner.run(FAULTY, counts, Budget(end=CASES))
    expected = Counter[str]()
    for way, number in chosen.items():
        expected[WAYS[way][0]] += number
    assert counts.outcomes == expected
    assert set(expected) == set(OUTCOMES)
    assert counts.next_case == CASES
    kept = [json.loads(path.read_text()) for path in tmp_path.glob("found/**/case.json")]
    assert {way_of(one["case"]) for one in kept} == {
        way for way, (outcome, _) in WAYS.items() if outcome not in ("ok", "named")
    }
    for path in tmp_path.glob("found/**/case.json"):
        about = json.loads(path.read_text())
        assert (path.parent / "input" / "input").read_text() == way_of(about["case"])
        assert about["outcome"] == WAYS[way_of(about["case"])][0]
        assert about["command"].endswith(f"--kind faulty --seed {SEED} --case {about['case']}")


def test_cases_go_on_where_they_ended(tmp_path: Path) -> None:
    whole, parts = Counts(), Counts()
    quick = range(next(case for case in range(CASES) if WAYS[way_of(case)][0] == "hang"))
    with Supervisor([FAULTY], SEED, tmp_path / "scratch", tmp_path / "found") as supervisor:
        supervisor.run(FAULTY, whole, Budget(end=len(quick)))
        for end in (1, 3, len(quick)):
            supervisor.run(FAULTY, parts, Budget(end=end))
        supervisor.run(FAULTY, parts, Budget(end=len(quick)))  # nothing is left
    assert parts.outcomes == whole.outcomes
    assert parts.keys == whole.keys


def test_a_kind_that_cannot_begin_is_no_result(tmp_path: Path) -> None:
    missing = Kind("missing", "", 1, 1, module="tests.benchmarks.fuzz.no_such_module")
    supervisor = Supervisor([missing], SEED, tmp_path / "scratch", tmp_path / "found")
    with pytest.raises(BrokenKindError, match="No module named 'tests"), supervisor:
        pass
