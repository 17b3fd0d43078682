from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import DataError
from fer_edge.train.data import fer2013, loading
from fer_edge.train.data.loading import read_data
from tests.support.data import draw_face


def test_the_second_call_reads_the_cache(
    csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_EDGE_CACHE", str(tmp_path))
    first = read_data(csv_file)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(fer2013, "read_fer2013", refuse)
    second = read_data(csv_file)
    for name, faces in first.splits.items():
        assert np.array_equal(faces.pixels, second.splits[name].pixels)
        assert np.array_equal(faces.labels, second.splits[name].labels)
        assert np.array_equal(faces.rows, second.splits[name].rows)
    assert (first.labels, first.name, first.licence) == (
        second.labels,
        second.name,
        second.licence,
    )


def test_cached_bad_rows_are_still_refused(rows: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows, "9,1 2 3,Training"]))
    assert len(read_data(path, skip_bad=True).bad) == 1
    with pytest.raises(DataError, match="line 72: the label '9'"):
        read_data(path)
    assert len(read_data(path, skip_bad=True).bad) == 1


def test_changed_data_is_read_again(rows: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]))
    assert read_data(path).counts()["train"] == 42
    path.write_text("\n".join(["emotion,pixels,Usage", *rows, rows[0]]))
    assert read_data(path).counts()["train"] == 43


def test_linked_folders_and_odd_names_are_seen(tmp_path: Path) -> None:
    away = tmp_path / "away"
    for label, name in enumerate(("happy", "sad")):
        (away / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(draw_face(label, i)).save(away / name / f"{i}.png")
    root = tmp_path / "data"
    root.mkdir()
    (root / "train").symlink_to(away)
    (away / "sad" / "dangling.png").symlink_to(tmp_path / "none")
    (away / "sad" / os.fsdecode(b"\xe9.txt")).touch()
    assert sum(read_data(root, skip_bad=True).counts().values()) == 12
    Image.fromarray(draw_face(0, 9)).save(away / "happy" / "new.png")
    assert sum(read_data(root, skip_bad=True).counts().values()) == 13


def test_a_damaged_cache_is_logged_and_replaced(
    csv_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("FER_EDGE_CACHE", str(tmp_path))
    read_data(csv_file)
    (cached,) = tmp_path.iterdir()
    whole = cached.stat().st_size
    cached.write_bytes(cached.read_bytes()[:1000])
    assert read_data(csv_file).counts()["train"] == 42
    assert "the cache is damaged" in caplog.text
    assert cached.stat().st_size == whole


def test_a_cache_that_cannot_be_written_is_logged(
    csv_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FER_EDGE_CACHE", str(tmp_path / "file" / "x"))
    assert read_data(csv_file).counts()["train"] == 42
    assert "the data isn't cached" in caplog.text


def test_another_side(csv_file: Path) -> None:
    assert read_data(csv_file, side=64).splits["test"].pixels.shape == (14, 64, 64)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        loading.read_data(tmp_path / "none")
