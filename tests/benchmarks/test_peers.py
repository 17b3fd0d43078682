"""The table of benchmarks/peers/run.py, from predictions and seconds."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from benchmarks.lib.timing import compare
from benchmarks.peers import child, run
from benchmarks.peers.figures import score, to_fer2013
from benchmarks.peers.rows import Row
from benchmarks.peers.table import OURS, TABLE

from fer_edge.train.data.fer2013 import LABELS
from tests.support.files import ROOT


def test_labels_are_fer2013s() -> None:
    assert tuple(map(to_fer2013, child.FER2013)) == LABELS


@pytest.mark.parametrize(
    ("theirs", "label"),
    [
        ("Angry", "angry"),
        ("anger", "angry"),
        ("surprised", "surprise"),
        (" Happiness ", "happy"),
        ("Contempt", None),
    ],
)
def test_a_label_by_name(theirs: str, label: str | None) -> None:
    assert to_fer2013(theirs) == label


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(ValueError, match="'bored'"):
        to_fer2013("bored")


def test_facex_has_every_label_in_an_order_of_its_own() -> None:
    assert sorted(map(str, map(to_fer2013, child.FACEX))) == sorted(LABELS)
    assert tuple(map(to_fer2013, child.FACEX)) != LABELS


def test_fewer_labels_are_scored_on_all_and_on_their_own() -> None:
    truth = ["happy", "happy", "sad", "fear", "disgust"]
    found = score(truth, ["happy", "sad", "sad", "sad", "happy"], ["happy", "sad"])
    assert (found.accuracy, found.n) == (2 / 5, 5)
    assert (found.own_accuracy, found.own_n) == (2 / 3, 3)


def test_more_labels_and_no_answer_are_wrong() -> None:
    found = score(
        ["happy", "sad", "angry"], ["contempt", None, "Anger"], ["contempt", *LABELS, "Anger"]
    )
    assert (found.accuracy, found.missing) == (1 / 3, 1)
    assert found.own_accuracy == found.accuracy


def test_the_two_shares_are_one_where_every_label_is_known() -> None:
    found = score(["happy", "sad"], ["happy", "fear"], LABELS)
    assert (found.accuracy, found.own_accuracy, found.n, found.own_n) == (0.5, 0.5, 2, 2)


@pytest.mark.parametrize(
    ("truth", "answers", "has", "why"),
    [
        (["happy"], ["sad"], ["happy"], "isn't one of its labels"),
        (["happy"], ["sad"], ["sad"], "no face has"),
        (["happy", "sad"], ["sad"], ["sad"], "shorter"),
    ],
)
def test_answers_that_cannot_be_scored(
    truth: list[str], answers: list[str], has: list[str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        score(truth, answers, has)


def test_ratios_are_taken_within_a_round() -> None:
    # the machine is three times slower in the second round, for both
    rounds = [{"us": 1.0, "them": 2.0}, {"us": 3.0, "them": 6.0}, {"us": 1.0, "them": 4.0}]
    found = compare(rounds, "us")
    assert (found["us"].seconds, found["us"].ratio) == (1.0, 1.0)
    assert (found["them"].seconds, found["them"].ratio) == (4.0, 2.0)
    assert (found["them"].low, found["them"].high) == (2.0, 3.0)


def test_who_stops_on_the_way_has_the_rounds_before() -> None:
    rounds = [{"us": 1.0, "them": 2.0}, {"us": 1.0, "them": 2.0}, {"us": 2.0}]
    assert compare(rounds, "us")["them"].ratio == 2.0


def test_every_row_names_an_adapter_and_is_named_once() -> None:
    assert {one.adapter["adapter"] for one in TABLE} == child.ADAPTERS.keys()
    assert len({one.name for one in TABLE}) == len(TABLE)
    assert TABLE[0].name == OURS


def test_what_did_not_run_says_why() -> None:
    row = Row(TABLE[-1], failure="pip: ERROR: no")
    cells = run.format_row(row, row)
    assert len(cells) == len(run.COLUMNS)
    assert cells[0] == TABLE[-1].name
    assert "pip: ERROR: no" in cells[-1]


def test_a_row_as_it_is_read() -> None:
    def row(seconds: float, installed: int) -> Row:
        found = Row(TABLE[0], installed=installed)
        found.score = score(["happy", "sad"], ["happy", "happy"], LABELS)
        found.latency = compare([{"a": 0.001}, {"a": 0.001}], "a")["a"]
        found.cold = [[seconds, 70.0, "happy"], [seconds + 1, 80.0, "happy"]]
        return found

    ours = row(0.5, 200_000_000)
    assert run.format_row(ours, ours)[1:-1] == [
        "50.00 %", "1.00", "1.00 (1.00 to 1.00)", "0.50 (1.00)", "80", "200",
    ]  # fmt: skip
    assert run.format_row(row(5.0, 700_000_000), ours)[4:-1] == [
        "5.00 (5.50), 10.0 x",
        "80",
        "700, 3.5 x",
    ]


def test_the_second_half_restores_the_first(tmp_path: Path) -> None:
    first = Row(TABLE[0], python=Path("python"), installed=7)
    first.score = score(["happy", "sad"], ["happy", "happy"], LABELS)
    run.write_first_half([first], tmp_path, 2)
    second = Row(TABLE[0])
    run.read_first_half([second], tmp_path, 2)
    assert (second.python, second.installed, second.score) == (first.python, 7, first.score)
    with pytest.raises(SystemExit, match="is of another model or other faces"):
        run.read_first_half([second], tmp_path, 3)
    with pytest.raises(SystemExit, match="lacks"):
        run.read_first_half([second, Row(TABLE[1])], tmp_path, 2)


@pytest.mark.parametrize("name", ["child", "cold_start"])
def test_they_import_nothing_that_an_environment_may_lack(name: str) -> None:
    tree = ast.parse((ROOT / "benchmarks" / "peers" / f"{name}.py").read_text("utf-8"))
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {str(module).partition(".")[0] for module in imported} <= sys.stdlib_module_names
