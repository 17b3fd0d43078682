from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

from fer_edge.runtime.device.throttling import Health
from fer_edge.runtime.diagnostics.statistics import Timed
from fer_edge.runtime.diagnostics.worker import WorkerError
from fer_edge.runtime.formats.model_files import bundled
from tests.support.commands import Fer, plain_text
from tests.support.processes import run_base_install

QUICK = ("--threads", "1", "--batch", "1", "--rounds", "1", "--seconds", "0.01")
ONE = Timed("1.0", 80.0, 65.0, (2_000_000,) * 100, 75_000_000, ())


@pytest.fixture(autouse=True)
def _detector(built_in_detector: Path) -> Path:
    return built_in_detector


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that answer at once; OpenVINO's crash."""

    def run(_: object, *, backend: str, **__: object) -> Timed:
        if backend == "openvino":
            raise WorkerError("it crashed: Illegal instruction (signal 4)")
        return ONE

    monkeypatch.setattr("fer_edge.runtime.diagnostics.benchmark.run_in_process", run)


def test_really(fer: Fer) -> None:
    ran = fer("benchmark", *QUICK, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["works"] is True
    assert [row["backend"] for row in document["rows"]] == ["onnxruntime", "openvino"]
    for row in document["rows"]:
        assert row["failure"] is row["accuracy"] is None
        assert row["speed"]["runs"] >= 6
        assert row["speed"]["peak_memory"] > 2**24
        assert row["size"] == bundled("model").stat().st_size
    assert len(document["health"]) == 2
    sizes = [(row["backend"], row["width"], row["failure"]) for row in document["frames"]]
    assert sizes == [("onnxruntime", 640, None), ("onnxruntime", 320, None)]
    slow, fast = (row["speed"]["p50_ms"] for row in document["frames"])
    assert slow > fast > 0
    assert ran.err.endswith("detector.onnx 320 x 240, onnxruntime, 1 thread (round 1 of 1)\n")
    assert ran.err.startswith(
        "".join(
            f"base.onnx, {name}, 1 thread, batch 1 (round 1 of 1)\n"
            for name in ("onnxruntime", "openvino")
        )
    )


def test_with_data_and_a_plot(fer: Fer, csv_file: Path, tmp_path: Path) -> None:
    plot = tmp_path / "pareto.png"
    options = ("--backend", "onnxruntime", "--data", csv_file, "--split", "val", "--plot", plot)
    ran = fer("benchmark", bundled("model"), *QUICK, *options)
    assert ran.code == 0, ran.err
    shown = plain_text(ran.out)
    assert "base.onnx: int8, 2.5 MB; accuracy on val, 14 faces" in shown
    assert f"engines: onnxruntime {version('onnxruntime')}" in shown
    assert ran.err.endswith(f"base.onnx, onnxruntime: accuracy on val\nwrote {plot}\n")
    with Image.open(plot) as image:
        assert min(image.size) > 300


@pytest.mark.usefixtures("quick")
def test_for_a_person(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter(
        [
            Health(48.3, (600.0, 600.0), ()),
            Health(85.1, (1500.0, 1000.0), ("throttled now", "throttled since boot")),
        ]
    )
    monkeypatch.setattr("fer_edge.runtime.diagnostics.benchmark.read_health", lambda: next(seen))
    ran = fer("benchmark", "--threads", "1", "--rounds", "1")
    assert ran.code == 0, ran.err
    shown = plain_text(ran.out)
    for text in (
        "engine threads batch ms, median p95 p99 faces/s load ms",
        "onnxruntime 1 1 2.00 (2.00-2.00) 2.00 2.00 500 80 + 65 75",
        "onnxruntime 1 8 2.00 (2.00-2.00) 2.00 2.00 4,000 80 + 65 75",
        "openvino: it crashed: Illegal instruction (signal 4)",
        "engine threads frame ms, median p95 p99 + one face frames/s",
        "onnxruntime 1 640 x 480 2.00 (2.00-2.00) 2.00 2.00 4.00 250",
        "onnxruntime 1 320 x 240 2.00 (2.00-2.00) 2.00 2.00 4.00 250",
        "engines: onnxruntime 1.0",
        "before: 48 °C, 600 MHz, not throttled",
        "after: 85 °C, 1000 to 1500 MHz, throttled now, throttled since boot",
        "the machine was slowed down during the run: throttled",
    ):
        assert text in shown
    assert shown.count("it crashed") == 1
    assert max(map(len, ran.out.splitlines())) <= 110


@pytest.mark.usefixtures("quick")
def test_nothing_works(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FER_EDGE_DETECTOR", "none.onnx")
    ran = fer("benchmark", *QUICK, "--backend", "openvino")
    assert ran.code == 1
    assert "openvino: it crashed" in plain_text(ran.out)
    assert "engines: none worked" in plain_text(ran.out)
    ran = fer("benchmark", *QUICK, "--backend", "openvino", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["works"] is False


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--threads", "1,x"), "--threads '1,x': not whole numbers from 1, such as 1,2,4"),
        (("--threads", "0"), "'0': not whole numbers from 1"),
        (("--threads", "9" * 5000), "not whole numbers from 1"),
        (("--threads", "257"), "threads must be at most 256, not 257"),
        (("--batch", ""), "'': not whole numbers from 1"),
        (("--batch", "-1"), "'-1': not whole numbers from 1"),
        (("--seconds", "0"), "--seconds"),
        (("--rounds", "0"), "--rounds"),
        (("--backend", "auto"), "--backend"),
        (("--split", "train"), "--split"),
        (("--plot", "p.png"), "ConfigError: --plot shows accuracy, which needs --data"),
        (("--plot", "p.png", "--data", "x.csv", "--batch", "8"), "lack a 1"),
        (("--plot", "p.png", "--data", "x.csv", "--threads", "2,4"), "lack a 1"),
        (("--plot", "p.xyz", "--data", "x.csv"), "p.xyz: not a file name for an image"),
    ],
)
def test_wrong_usage(fer: Fer, options: tuple[str, ...], message: str) -> None:
    ran = fer("benchmark", *options)
    assert (ran.code, ran.out) == (2, "")
    assert message in " ".join(ran.err.split())


@pytest.mark.usefixtures("quick")
def test_what_is_not_there_is_said_before_anything(fer: Fer, tmp_path: Path) -> None:
    ran = fer("benchmark", tmp_path / "no.onnx")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith("no.onnx: there is no such file\n")
    ran = fer("benchmark", "--data", tmp_path / "no.csv")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith("no.csv: there is no such file or folder\n")


def test_it_needs_no_torch(csv_file: Path, tmp_path: Path) -> None:
    options = (*QUICK, "--backend", "onnxruntime", "--data", csv_file)
    done = run_base_install("benchmark", *options, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["accuracy"] is not None
    done = run_base_install("benchmark", *options, "--plot", tmp_path / "p.png")
    assert (done.returncode, done.stdout) == (1, "")
    assert "MissingExtraError: matplotlib is not installed" in done.stderr
    assert "pip install 'fer-edge[train]'" in done.stderr
