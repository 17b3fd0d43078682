"""Runs on a real Ray cluster of two CPUs in this machine."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="ray isn't installed")
import pyarrow.parquet as pq

from fer_edge.cluster import Totals, infer, inference
from fer_edge.cluster.worker import MAX_ATTEMPTS, Worker
from fer_edge.errors import ClusterError, ConfigError, ModelError, SourceError
from fer_edge.runtime.recognizer import Recognizer
from tests.cluster.conftest import FACES, write_faces
from tests.support.commands import Fer
from tests.support.processes import run_python, start_process

READ, BAD = FACES + 2, 2
pytestmark = [
    pytest.mark.timeout(600),  # on a busy machine, a worker starts in a minute
    # Ray warns of parts of itself; what this package calls may not be deprecated
    pytest.mark.filterwarnings("default", "error:::fer_edge"),
]


def csv_rows(*paths: Path) -> list[list[str]]:
    """The rows of CSV files, without their headers."""
    rows: list[list[str]] = []
    for path in paths:
        with path.open(encoding="utf-8", newline="") as stream:
            rows += list(csv.reader(stream))[1:]
    return rows


def as_text(row: dict[str, object]) -> list[str]:
    """The values of a row as CSV has them."""
    shown = {None: "", True: "1", False: "0"}
    return [
        shown[value]
        if value is None or isinstance(value, bool)
        else f"{value:.6f}"
        if isinstance(value, float)
        else str(value)
        for value in row.values()
    ]


def table(folder: Path) -> list[list[str]]:
    return csv_rows(*sorted(folder.iterdir()))


@pytest.fixture(scope="module")
def expected(images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What `fer infer` writes."""
    output = tmp_path_factory.mktemp("infer") / "out.csv"
    done = run_python("-m", "fer_edge", "infer", images, "-o", output)
    assert done.returncode == 1, done.stderr  # two images can't be read
    return csv_rows(output)


@pytest.mark.usefixtures("ray_cluster")
def test_the_tables_hold_the_rows_of_fer_infer(
    images: Path, expected: list[list[str]], tmp_path: Path
) -> None:
    seen: list[Totals] = []
    totals = infer([images], tmp_path, format="csv", part_size=5, on_part=seen.append)
    assert table(tmp_path / "results") == expected
    assert [row[0] for row in table(tmp_path / "errors")] == [
        str(images / "text.jpg"),
        str(images / "00" / "empty.png"),
    ]
    assert (totals.images, totals.failed, totals.skipped) == (READ, BAD, 0)
    assert totals.pending == READ + BAD
    assert len(seen) == 5
    assert seen[-1] == totals


@pytest.mark.usefixtures("ray_cluster")
def test_parquet_holds_the_same_values(
    images: Path, expected: list[list[str]], tmp_path: Path
) -> None:
    infer([images], tmp_path, part_size=50)
    (part,) = (tmp_path / "results").iterdir()
    rows = pq.read_table(part).to_pylist()
    assert [as_text(row) for row in rows] == expected


@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_that_is_killed_loses_nothing(
    images: Path, expected: list[list[str]], tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill(totals: Totals) -> None:
        if not killed:
            killed.append(totals.worker)
            os.kill(totals.worker, signal.SIGKILL)

    totals = infer([images], tmp_path, format="csv", workers=1, part_size=3, on_part=kill)
    assert len(killed) == 1
    assert totals.worker not in killed
    assert table(tmp_path / "results") == expected
    assert (totals.images, totals.failed) == (READ, BAD)


@pytest.mark.usefixtures("ray_cluster")
def test_an_image_that_ends_each_worker_is_named_and_the_rest_is_read(
    images: Path, expected: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "ended"

    class Mortal(Worker):  # a class of this function: Ray sends its code
        def __call__(self, row: dict[str, object]) -> dict[str, object]:
            if b"0013.png" in bytes(row["names"]):  # type: ignore[call-overload]
                self._count_attempt(row["number"])  # type: ignore[arg-type]
                with log.open("a") as stream:
                    stream.write("x")
                if log.stat().st_size <= MAX_ATTEMPTS:
                    os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(row)

    monkeypatch.setattr(inference, "Worker", Mortal)
    output = tmp_path / "out"
    with pytest.raises(ClusterError, match=r"1 of \d+ parts were lost.*begins with .*0012.png"):
        infer([images], output, format="csv", part_size=4)
    names = {row[0] for row in table(output / "results")}
    lost = {row[0] for row in expected} - names
    assert {Path(name).name for name in lost} == {f"00{i}.png" for i in range(12, 16)}
    monkeypatch.undo()
    totals = infer([images], output, format="csv", part_size=4, resume=True)
    assert (totals.images, totals.skipped) == (4, READ + BAD - 4)
    assert table(output / "results") == expected


@pytest.mark.usefixtures("ray_cluster")
def test_a_run_is_resumed_also_with_more_images(tmp_path: Path) -> None:
    images, output = write_faces(tmp_path / "images", 12), tmp_path / "out"
    assert infer([images], output, part_size=4).images == 12
    with pytest.raises(ConfigError, match="out holds results: continue them with resume"):
        infer([images], output)
    (output / "results" / "part-0000001.parquet").unlink()
    assert infer([images], output, part_size=4, resume=True).images == 4
    before = sorted(one.name for one in (output / "results").iterdir())
    assert before == [f"part-000000{i}.parquet" for i in range(3)]
    write_faces(images / "0", 3)  # listed before the others
    totals = infer([images], output, part_size=4, resume=True)
    assert (totals.images, totals.skipped) == (3, 12)
    sources = pq.read_table(output / "results")["source"].to_pylist()
    assert len(sources) == len(set(sources)) == 15
    assert infer([images], output, resume=True) == Totals(skipped=15)


@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_that_cannot_write_stops_the_run(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "encode_part", lambda part, _: {  # a name that no file can have
        "number": part.number, "name": "x" * 300, "names": os.fsencode(part.names[0]),
    })  # fmt: skip
    with pytest.raises(ClusterError, match=r"a worker can't go on: .*File name too long"):
        infer([images], tmp_path, format="csv", part_size=50)


@pytest.mark.usefixtures("ray_cluster")
def test_more_workers_than_cpus_are_refused(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the cluster has 2 CPUs for 3 workers"):
        infer([images], tmp_path, workers=3)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"format": "xls"}, ConfigError, "format is 'xls': choose parquet or csv"),
        ({"part_size": 0}, ConfigError, "must be 1 or more"),
        ({"workers": 0}, ConfigError, "must be 1 or more"),
        ({"model": "nothing"}, ModelError, "there is no such file"),
    ],
)
def test_a_setting_is_refused_before_ray_starts(
    settings: dict[str, object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        infer(["a.png"], tmp_path / "out", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_nothing_to_read_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "connect", pytest.fail)
    errors: list[SourceError] = []
    totals = infer([tmp_path / "*.png"], tmp_path / "out", on_error=errors.append)
    assert totals == Totals(failed=1)
    assert "no file matches" in str(errors[0])


def test_the_command_refuses_what_it_cannot_read(
    fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # no token for the other tests' cluster
    ran = fer("cluster", "0", "--output", tmp_path / "out")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("ConfigError: 0: a cluster reads images in files")


@pytest.mark.slow
def test_the_command_killed_as_a_whole_and_resumed(tmp_path: Path) -> None:
    """`kill -9` of the command, whose workers end with it; then the rows are those of fer infer."""
    images, output, one = (
        write_faces(tmp_path / "images", 400),
        tmp_path / "out",
        tmp_path / "1.csv",
    )
    command = [sys.executable, "-m", "fer_edge", "cluster", images, "--output", output]
    command += ["--format", "csv", "--part-size", "10", "--workers", "2"]
    with start_process(*command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 300
        while not (output / "results").exists() or len(list((output / "results").iterdir())) < 3:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    done = run_python(*map(str, command[1:]), "--resume", timeout=400)
    assert done.returncode == 0, done.stderr
    *_, last = done.stderr.splitlines()
    assert last.endswith(f"were already in {output}")
    assert "core_worker" not in done.stderr
    assert "Warning" not in done.stderr
    assert run_python("-m", "fer_edge", "infer", images, "-o", one).returncode == 0
    assert table(output / "results") == csv_rows(one)
    assert len(csv_rows(one)) == 400
    assert not list((output / "results").glob(".*"))


@pytest.mark.usefixtures("ray_cluster")
def test_workers_use_the_settings(images: Path, tmp_path: Path) -> None:
    image = next(images.rglob("0003.png"))
    infer([image], tmp_path, format="csv", model="small", faces="whole", min_confidence=1.0)
    ((_, _, *rest),) = table(tmp_path / "results")
    face = Recognizer.load("small", faces="whole", min_confidence=1.0)(image).faces[0]
    assert rest[4:6] == ["uncertain", f"{face.confidence:.6f}"]
