from __future__ import annotations

import os
from collections.abc import Callable
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


def test_files_that_are_no_images_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for label, name in enumerate(("happy", "sad")):
        (tmp_path / name).mkdir()
        for i in range(6):
            Image.fromarray(draw_face(label, i)).save(tmp_path / name / f"{i}.png")
    for name in ("a.txt", "b.TXT", "c.mp4", "Thumbs.db", "d", ".hidden.txt"):
        (tmp_path / "sad" / name).touch()
    for _ in range(2):  # also if it is cached
        caplog.clear()
        with caplog.at_level("INFO"):
            read_data(tmp_path)
        (message,) = caplog.messages
        assert message.startswith(f"{tmp_path}: left out: 2 .txt, ")
        assert sorted(message.split(": ")[2].split(", ")) == [
            "1 .db", "1 .mp4", "1 without a suffix", "2 .txt",
        ]  # fmt: skip


def test_a_renamed_class_is_read_again(tmp_path: Path) -> None:
    for label, name in enumerate(("happy", "sad")):
        (tmp_path / name).mkdir()
        for i in range(6):
            Image.fromarray(draw_face(label, i)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "sad" / "up").symlink_to("..")  # a walk that followed it would never end
    assert read_data(tmp_path).labels == ("happy", "sad")
    (tmp_path / "sad").rename(tmp_path / "fear")
    assert read_data(tmp_path).labels == ("fear", "happy")


def damage(cached: Path, **changed: np.ndarray) -> None:
    with np.load(cached) as store:
        arrays = {**store, **changed}
    np.savez(cached, **arrays)


def pack_cache(cached: Path) -> None:
    with np.load(cached) as store:
        np.savez_compressed(cached, **store)


def set_zip_field(cached: Path, place: int, value: bytes) -> None:
    """Change a field of the first member, at `place` of its local and central header."""
    content = bytearray(cached.read_bytes())
    for mark, start in ((b"PK\3\4", place), (b"PK\1\2", place + 2)):
        at = content.index(mark) + start
        content[at : at + len(value)] = value
    cached.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda cached: cached.write_bytes(b""),
    "text": lambda cached: cached.write_text("a note"),
    "a zip of something else": lambda cached: np.savez(cached, a=np.zeros(3)),
    "unknown compression": lambda cached: set_zip_field(cached, 8, b"\x63\0"),
    "encrypted": lambda cached: set_zip_field(cached, 6, b"\1\0"),
    "packed": pack_cache,
    "pickled": lambda cached: damage(cached, train_labels=np.array([{}, 1], object)),
    "other type": lambda cached: damage(cached, train_pixels=np.zeros((42, 48, 48), np.float32)),
    "other shape": lambda cached: damage(cached, val_pixels=np.zeros((14, 48, 47), np.uint8)),
    "other length": lambda cached: damage(cached, test_labels=np.zeros(13, np.int64)),
    "label out of range": lambda cached: damage(cached, test_labels=np.full(14, 7)),
    "label below 0": lambda cached: damage(cached, test_labels=np.full(14, -1)),
    "not JSON": lambda cached: damage(cached, about=np.array("{")),
    "nested": lambda cached: damage(cached, about=np.array("[" * 100_000)),
    "a list": lambda cached: damage(cached, about=np.array("[]")),
    "a split without pixels": lambda cached: cached.write_bytes(
        cached.read_bytes().replace(b"val_pixels", b"val_pixelt")
    ),
    "a key too many": lambda cached: damage(cached, about=np.array('{"a": 1}')),
}


@pytest.mark.parametrize("do_damage", DAMAGE.values(), ids=DAMAGE)
def test_any_damaged_cache_is_read_anew(
    csv_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    do_damage: Callable[[Path], object],
) -> None:
    monkeypatch.setenv("FER_EDGE_CACHE", str(tmp_path))
    whole = read_data(csv_file)
    (cached,) = tmp_path.iterdir()
    do_damage(cached)
    for messages in (1, 0):
        caplog.clear()
        again = read_data(csv_file)
        assert len(caplog.messages) == messages
        for name, faces in whole.splits.items():
            assert again.splits[name].sha256() == faces.sha256()


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
