"""No engine and no library sends anything or leaves anything that the user didn't ask for.

The processes run in an empty home folder, without a network where Linux allows it, under strace
where it is installed.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

from fer_edge.telemetry import ENVIRONMENT, OPENVINO_CONSENT, disable_telemetry
from tests.support import watched as watched_runs
from tests.support.data import draw_rows, write_csv
from tests.support.files import EXAMPLE
from tests.support.requirements import needs_ncnn
from tests.support.videos import write_video
from tests.support.watched import has_namespaces, has_strace, needs_strace, watch

OWN = r"HOME/\.(cache|local/state)/fer-edge/.*"
"""What fer-edge stores for the user: parsed training data, and the choice of `fer doctor`."""
FONTS = r"HOME/\.(cache|config)/matplotlib(/fontlist-.*)?"
"""Matplotlib's list of the installed fonts, which it would else make anew for each plot."""
INDUCTOR = r"TMP/torchinductor_\w+"
"""A folder, empty, that PyTorch makes when it exports."""
DEVICES = r"/dev/(null|tty|shm/.*)"
"""Semaphores of multiprocessing are in /dev/shm."""


def only(paths: frozenset[str], *patterns: str) -> set[str]:
    """Paths that none of the patterns matches."""
    return {path for path in paths if not any(re.fullmatch(one, path) for one in patterns)}


@pytest.mark.parametrize(("name", "default"), ENVIRONMENT.items())
def test_variables_are_set_unless_the_user_has_set_them(
    name: str, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("0", "1"):
        monkeypatch.setenv(name, value)
        disable_telemetry()
        assert os.environ[name] == value
    monkeypatch.delenv(name)
    disable_telemetry()
    assert os.environ[name] == default


@pytest.mark.parametrize(
    ("answer", "is_disabled"), [(None, True), ("0", True), ("1\n", False), ("\udcff", True)]
)
def test_openvino_sends_only_where_the_user_has_said_so(
    answer: str | None, is_disabled: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    if answer is not None:
        (tmp_path / OPENVINO_CONSENT).parent.mkdir()
        (tmp_path / OPENVINO_CONSENT).write_bytes(os.fsencode(answer))
    disable_telemetry()
    assert ("openvino_telemetry" in sys.modules) == is_disabled
    if is_disabled:
        with pytest.raises(ModuleNotFoundError):
            import openvino_telemetry  # noqa: F401


def test_inference_sends_and_leaves_nothing(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", [Image.open(EXAMPLE)] * 3)
    infer = "infer", "--faces", "whole", "--backend"
    watched = watch(
        tmp_path / "watched",
        (*infer, "onnxruntime", EXAMPLE, "--save", "annotated"),
        (*infer, "openvino", EXAMPLE),
        (*infer, "onnxruntime", video, "--save", "annotated", "--plot", "timeline.png"),
    )
    assert not watched.sockets
    assert not watched.left
    needs_strace()
    assert not only(watched.written, DEVICES)


def test_a_test_without_strace_is_skipped_visibly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_runs, "has_strace", lambda: False)
    with pytest.raises(pytest.skip.Exception, match=r"^strace is missing"):
        needs_strace()
    monkeypatch.setattr(watched_runs, "has_strace", lambda: True)
    needs_strace()


@pytest.mark.skipif(not (has_namespaces() and has_strace()), reason="unshare or strace is missing")
def test_a_user_may_choose_telemetry(tmp_path: Path) -> None:
    """It also shows that the other tests see what these libraries do by themselves."""
    infer = "infer", "--faces", "whole", EXAMPLE, "--backend"
    watched = watch(
        tmp_path, (*infer, "openvino"), environment={"ORT_DISABLE_TELEMETRY": "0"}, consent="1"
    )
    assert watched.sockets == {"AF_INET"}
    assert "HOME/intel/openvino_ga_cid" in watched.left


@pytest.mark.skipif(
    tuple(map(int, version("onnxruntime").split(".")[:2])) < (1, 29) or not has_namespaces(),
    reason="unshare is missing, or ONNX Runtime has no telemetry",
)
def test_a_user_may_choose_telemetry_of_onnx_runtime(tmp_path: Path) -> None:
    command = "infer", "--faces", "whole", EXAMPLE, "--backend", "onnxruntime"
    watched = watch(tmp_path, command, environment={"ORT_DISABLE_TELEMETRY": "0"})
    assert "HOME/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid" in watched.left


@pytest.mark.slow
def test_training_export_and_measurements_send_nothing(tmp_path: Path) -> None:
    needs_ncnn()
    data = write_csv(draw_rows(6, 2, 2), tmp_path / "fer2013.csv")
    export = "export", "run/model.safetensors", "--precision", "fp32", "--output"
    watched = watch(
        tmp_path / "watched",
        ("train", "--data", data, "--arch", "tiny", "--weights", "none", "--epochs", 1),
        ("evaluate", "run/model.safetensors", "--data", data),
        (*export, "m.onnx", "--format", "onnx"),
        (*export, "m.xml", "--format", "openvino"),
        (*export, "m.ncnn.param", "--format", "ncnn"),
        ("parity", "run/model.safetensors", "m.xml", "--data", data),
        ("infer", "--faces", "whole", EXAMPLE, "--model", "m.ncnn.param"),
        ("evaluate", "m.onnx", "--data", data, "--output", "evaluation"),
        ("benchmark", "m.onnx", "m.xml", "m.ncnn.param", "--seconds", 0.1),
        ("doctor",),
    )
    assert not watched.sockets
    assert not only(watched.left, OWN, FONTS, INDUCTOR)
    needs_strace()
    assert not only(watched.written, OWN, FONTS, DEVICES, "TMP/.*")
