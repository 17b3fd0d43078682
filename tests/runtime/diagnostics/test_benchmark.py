from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from fer_edge.errors import ConfigError, ModelError
from fer_edge.runtime.device import packages
from fer_edge.runtime.device.board import read_board
from fer_edge.runtime.device.throttling import Health
from fer_edge.runtime.diagnostics.benchmark import Benchmark, Row, benchmark
from fer_edge.runtime.diagnostics.statistics import Speed, Timed, pool_rounds
from fer_edge.runtime.diagnostics.worker import WorkerError, time_model
from fer_edge.runtime.formats.model_files import bundled

NO_HEALTH = Health(None, (), None)
Key = tuple[str, int, int]


def timed(times: tuple[int, ...] = (1_000_000,) * 10, **changes: Any) -> Timed:
    return dataclasses.replace(Timed("1.0", 10.0, 20.0, times, 2**26, ()), **changes)


@pytest.fixture(autouse=True)
def _without_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have tests of their own: test_frames.py."""
    monkeypatch.setattr("fer_edge.runtime.diagnostics.benchmark.frame_rows", lambda *_: [])


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[Key, object]], list[Key]]:
    """Fake processes: results by engine, threads and batch; the log lists the calls."""

    def put(table: dict[Key, object]) -> list[Key]:
        log: list[Key] = []

        def run(function: object, *, timeout: float, **given: Any) -> object:
            assert (function, timeout, given["seconds"]) == (time_model, 62.0, 1.0)
            key = (given["backend"], given["threads"], given["batch"])
            log.append(key)
            result = table.get(key, timed())
            if isinstance(result, list):
                result = result[log.count(key) - 1]
            if isinstance(result, str):
                raise WorkerError(result)
            return result

        monkeypatch.setattr("fer_edge.runtime.diagnostics.benchmark.run_in_process", run)
        monkeypatch.setattr("fer_edge.runtime.device.board.count_usable_cores", lambda: 2)
        monkeypatch.setattr("fer_edge.runtime.diagnostics.benchmark.read_health", lambda: NO_HEALTH)
        return log

    return put


Children = Callable[[dict[Key, object]], list[Key]]


def test_really() -> None:
    told: list[str] = []
    found = benchmark(
        [bundled("model")],
        backends=["onnxruntime"],
        threads=[1],
        batches=[1, 2],
        seconds=0.01,
        rounds=2,
        report=told.append,
    )
    assert told == [
        f"base.onnx, onnxruntime, 1 thread, batch {batch} (round {turn} of 2)"
        for turn, batch in ((1, 1), (1, 2), (2, 2), (2, 1))
    ]
    assert [row.batch for row in found.rows] == [1, 2]
    assert found.works
    assert len(found.health) == 3
    for row in found.rows:
        assert row.failure is None
        assert row.size == bundled("model").stat().st_size
        assert row.speed is not None
        assert row.speed.engine == version("onnxruntime")
        low, high = row.speed.interval_ms
        assert 0 < low <= row.speed.p50_ms <= high
        assert len(row.speed.rounds_ms) == 2
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["rows"][0] == json.loads(json.dumps(dataclasses.asdict(found.rows[0])))
    assert set(document) >= {"version", "board", "health", "rows", "warnings", "works", "split"}


def test_rounds_go_there_and_back(children: Children) -> None:
    log = children({})
    found = benchmark([bundled("model")], seconds=1.0, rounds=3)
    once = [(n, t, b) for n in ("onnxruntime", "openvino") for t in (1, 2) for b in (1, 8)]
    assert log == once + once[::-1] + once
    assert [(row.backend, row.threads, row.batch) for row in found.rows] == once
    assert len(found.health) == 4


def test_a_crash_is_a_row(children: Children) -> None:
    broken: dict[Key, object] = {
        ("onnxruntime", 1, 8): "it crashed",
        ("openvino", 1, 1): [timed(), "no result within 62 seconds"],
    }
    log = children(broken)
    found = benchmark([bundled("model")], threads=[1], seconds=1.0)
    assert {(row.backend, row.batch): row.failure for row in found.rows} == {
        ("onnxruntime", 1): None,
        ("onnxruntime", 8): "it crashed",
        ("openvino", 1): "no result within 62 seconds",
        ("openvino", 8): None,
    }
    assert [row.speed is None for row in found.rows] == [False, True, True, False]
    assert [log.count(key) for key in broken] == [1, 2]
    assert found.works


def test_where_nothing_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    found = benchmark([bundled("model")], threads=[1], batches=[1], rounds=2)
    assert {row.failure for row in found.rows} == {
        "no process of its own could be started (No such file or directory)"
    }
    assert not found.works
    assert found.warnings == ()


def test_engines_that_are_not_tried(
    children: Children, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fp32_model: Path
) -> None:
    log = children({})
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    found = benchmark([bundled("model"), fp32_model], threads=[1], batches=[1], seconds=1.0)
    assert [("OpenVINO's int8 on ARM" in str(row.failure)) for row in found.rows] == [
        *(False, True, False, False)
    ]
    assert len(log) == 9
    monkeypatch.setattr(
        packages, "find_package", lambda name: None if name == "openvino" else tmp_path
    )
    found = benchmark([fp32_model], threads=[1], batches=[1], seconds=1.0)
    assert [row.backend for row in found.rows] == ["onnxruntime"]
    found = benchmark([fp32_model], backends=["openvino"], threads=[1, 2], seconds=1.0)
    assert {row.failure for row in found.rows} == {
        "not installed: pip install 'fer-edge[openvino]' (in a clone: pip install '.[openvino]')"
    }
    assert len(found.rows) == 4


def test_ncnn_and_the_size_of_its_files(
    children: Children, tmp_path: Path, fp32_model: Path, ncnn_model: Path
) -> None:
    children({})
    files = [Path(shutil.copy(file, tmp_path)) for file in ncnn_model.parent.iterdir()]
    path, other = Path(shutil.copy(fp32_model, tmp_path / "m.onnx")), tmp_path / "m.ncnn.param"
    options: dict[str, Any] = {"threads": [1], "batches": [1], "seconds": 1.0, "rounds": 1}
    (row,) = benchmark([other], **options).rows
    assert (row.model, row.backend, row.failure) == (str(other), "ncnn", None)
    assert row.size == sum(file.stat().st_size for file in files)
    # named or not, it is measured once, and by the name of the file that is read
    for models in ([path], [path, other]):
        rows = benchmark(models, **options).rows
        assert [Path(row.model).name for row in rows] == ["m.onnx", "m.onnx", "m.ncnn.param"]
    (row,) = benchmark([bundled("model")], backends=["ncnn"], **options).rows
    assert row.failure == "it doesn't read .onnx"


def test_an_ir_and_its_size(children: Children, tmp_path: Path, fp32_model: Path) -> None:
    from fer_edge.runtime.formats.onnx_reader import read_header

    spec = read_header(fp32_model).metadata["fer_edge"].decode()
    spec = spec.replace("&", "&amp;").replace('"', "&quot;")
    (tmp_path / "m.xml").write_text(
        f'<net><rt_info><fer_edge value="{spec}" /></rt_info></net>', "utf-8"
    )
    (tmp_path / "m.bin").write_bytes(b"0" * 1000)
    children({})
    path = tmp_path / "m.xml"
    found = benchmark([path], threads=[1], batches=[1], seconds=1.0)
    assert [row.backend for row in found.rows] == ["openvino"]
    assert found.rows[0].size == path.stat().st_size + 1000
    found = benchmark([path], backends=["onnxruntime"], threads=[1], batches=[1], seconds=1.0)
    assert found.rows[0].failure == "it doesn't read .xml"


def test_nothing_is_measured_twice(children: Children) -> None:
    log = children({})
    model = bundled("model")
    benchmark(
        [model, model],
        backends=["onnxruntime", "onnxruntime"],
        threads=[1, 1],
        batches=[1, 1],
        seconds=1.0,
        rounds=1,
    )
    assert log == [("onnxruntime", 1, 1)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"threads": [0]},
        {"batches": [8, 0]},
        {"batches": []},
        {"rounds": 0},
        {"seconds": 0.0},
        {"seconds": math.nan},
        {"backends": ["tflite"]},
    ],
)
def test_settings_that_can_not_be(wrong: dict[str, Any], children: Children) -> None:
    log = children({})
    with pytest.raises(ConfigError):
        benchmark([bundled("model")], **wrong)
    assert log == []


def test_a_model_that_is_not_there_is_said_before_anything(
    children: Children, tmp_path: Path
) -> None:
    log = children({})
    with pytest.raises(ModelError, match=r"no\.onnx: there is no such file"):
        benchmark([bundled("model"), tmp_path / "no.onnx"])
    assert log == []


def doubtful(*speeds: Speed, health: tuple[Health, ...] = ()) -> tuple[str, ...]:
    rows = [Row("m.onnx", "fp32", 1, "onnxruntime", 2, 8, speed) for speed in speeds]
    return Benchmark("0", read_board(), health, tuple(rows)).warnings


def test_warnings() -> None:
    calm = pool_rounds([timed()], batch=1)
    assert doubtful(calm) == doubtful() == ()
    was = Health(80.0, (), ("throttled since boot",))
    assert doubtful(calm, health=(was, was)) == ()
    hot = Health(85.0, (), ("throttled now", "throttled since boot"))
    (warning,) = doubtful(calm, health=(was, hot, was))
    assert warning == "the machine was slowed down during the run: throttled"
    fallen = [
        dataclasses.replace(calm, clocks=clocks) for clocks in ((1500, 1200), (1500, 1000), (1,))
    ]
    (warning,) = doubtful(*fallen)
    assert warning == (
        "the clock fell from 1500 to 1000 MHz (m.onnx, onnxruntime, 2 threads, batch 8)"
    )
    (warning,) = doubtful(calm, dataclasses.replace(calm, interval_ms=(0.98, 1.01)))
    assert warning.startswith("1 of 2 medians are known to no better than 2%: ")
    (warning,) = doubtful(calm, dataclasses.replace(calm, rounds_ms=(1.0, 1.2, 1.1)))
    assert warning.startswith("the rounds' medians differ by up to 20% (m.onnx, ")
