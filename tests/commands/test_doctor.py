from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.commands import Fer, plain_text
from tests.support.self_tests import fake_self_tests


@pytest.fixture(autouse=True)
def _own_place(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    built_in_detector: Path,  # noqa: ARG001
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("fer_edge.runtime.device.board.count_usable_cores", lambda: 2)


def test_really(fer: Fer) -> None:
    ran = fer("doctor", "--no-probe", "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["works"] is True
    assert document["choice"] is None
    assert [row["threads"] for row in document["rows"]] == [1, 1]
    assert document["rows"][0]["verdict"] == "right"
    assert (document["model"]["name"], document["model"]["version"]) == ("base", "3")
    assert document["model"]["metrics"][0]["split"] == "test"
    built_in, other = document["detectors"]
    assert (built_in["name"], built_in["failure"]) == ("built-in", None)
    assert {one["failure"] for one in built_in["engines"]} == {None}
    assert built_in["samples"] == 2
    assert (other["name"], other["path"], other["failure"]) == ("yunet", None, None)
    assert ran.err.startswith("testing onnxruntime, 1 thread\ntesting openvino, 1 thread\n")
    assert "testing the face detector built-in, onnxruntime\n" in ran.err


def test_for_a_person(fer: Fer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    close = {"labels_differ": 1, "max_abs_logit_diff": 0.13}
    fake_self_tests(monkeypatch, lambda name, _: close if name == "openvino" else {})
    ran = fer("doctor")
    assert ran.code == 0, ran.err
    shown = plain_text(ran.out)
    for text in (
        *("board", "CPU features", "memory", "cameras none", "PyAV is installed", "1.0: cpu"),
        "face detector built-in",
        "right under onnxruntime, openvino",
        "face detector yunet not installed (optional): fer detector install",
        "base 3, int8, 69.66% accuracy on FER2013 test",
        "onnxruntime 2 1.00 right: 16 of 16 same label, max |Δlogit| 1e-07",
        "openvino 1 1.00 close: 15 of 16 same label, max |Δlogit| 0.13",
        "close: some int8 values are rounded differently",
        "--backend auto now uses onnxruntime with 1 thread for this model",
    ):
        assert text in shown
    assert (tmp_path / "fer-edge" / "doctor.json").is_file()


def test_a_model_that_fails_everywhere(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"labels_differ": 9, "max_abs_logit_diff": None}
    crash = "it crashed: Illegal instruction"
    fake_self_tests(monkeypatch, lambda name, _: wrong if name == "openvino" else crash)
    ran = fer("doctor")
    assert ran.code == 1
    shown = plain_text(ran.out)
    assert "failed: it crashed: Illegal instruction" in shown
    assert "wrong: 7 of 16 same label, max |Δlogit| not a number" in shown
    assert "the self-test failed: this model cannot be used on this machine" in shown
    ran = fer("doctor", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["works"] is False


def test_a_choice_that_cannot_be_kept_and_one_that_was_not_made(
    fer: Fer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_self_tests(monkeypatch, lambda *_: {})
    (tmp_path / "fer-edge").touch()
    ran = fer("doctor")
    assert ran.code == 0
    assert "fastest: onnxruntime with 1 thread, but that cannot be stored: [Errno" in plain_text(
        ran.out
    )
    fake_self_tests(monkeypatch, lambda *_: {"ms": None})
    ran = fer("doctor", "--no-probe")
    assert "latency was not measured: the choice of --backend auto is unchanged" in plain_text(
        ran.out
    )


def test_where_no_process_can_be_started(
    fer: Fer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    ran = fer("doctor")
    assert ran.code == 1
    assert "no process of its own could be started" in plain_text(ran.out)
    assert "Traceback" not in ran.err


def test_a_file_that_is_not_there(fer: Fer, tmp_path: Path) -> None:
    ran = fer("doctor", tmp_path / "no.onnx")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith("no.onnx: there is no such file\n")
