from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import DataError
from fer_edge.train.data.class_folders import find_images, find_splits
from fer_edge.train.data.folders import read_folders
from fer_edge.train.data.inspection import read_for_inspection
from tests.support.data import draw_face


def fill(folder: Path, count: int, label: int = 0) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(draw_face(label, i)).save(folder / f"{i}.png")


def test_train_and_test_with_synonyms(tmp_path: Path) -> None:
    for split in ("train", "Test"):
        for label, name in enumerate(("Happiness", "anger", "neutral")):
            fill(tmp_path / split / name, 20, label)
    data = read_folders(tmp_path, side=48)
    assert data.labels == ("angry", "happy", "neutral")
    assert data.counts() == {"train": 54, "val": 6, "test": 60}
    happy = data.splits["test"].pixels[data.splits["test"].labels == 1]
    assert np.array_equal(happy[0], draw_face(0, 0))


def test_missing_splits_are_taken_from_train_reproducibly(tmp_path: Path) -> None:
    fill(tmp_path / "zufrieden", 10)
    fill(tmp_path / "müde", 30, 1)
    data = read_folders(tmp_path, side=32)
    assert data.labels == ("müde", "zufrieden")
    assert data.counts() == {"train": 32, "val": 4, "test": 4}
    assert data.derived_splits == ("val", "test")
    assert data.splits["train"].pixels.shape[1:] == (32, 32)
    again = read_folders(tmp_path, side=32)
    assert np.array_equal(data.splits["val"].rows, again.splits["val"].rows)
    all_rows = np.concatenate([faces.rows for faces in data.splits.values()])
    assert sorted(all_rows.tolist()) == list(range(40))


def test_held_out_files_are_consecutive(tmp_path: Path) -> None:
    for label in ("a", "b"):
        fill(tmp_path / "train" / label, 100)
        fill(tmp_path / "test" / label, 3)
    for seed in range(5):
        data = read_folders(tmp_path, side=16, seed=seed)
        assert data.derived_splits == ("val",)
        for label in (0, 1):
            rows = data.splits["val"].rows[data.splits["val"].labels == label]
            assert rows.tolist() == list(range(rows[0], rows[0] + 10))


def test_folder_names(tmp_path: Path) -> None:
    """A Mac's accents, folders of operating systems, and synonyms."""
    for name in (unicodedata.normalize("NFD", "müde"), "Joy", "Bored", "Happy", "__MACOSX"):
        fill(tmp_path / name, 5)
    for name in ("@eaDir", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "Bored" / "._0.png").write_bytes(b"x")
    (tmp_path / "Bored" / "@eaDir").mkdir()
    (tmp_path / "Bored" / "@eaDir" / "0.png").write_bytes(b"x")
    data = read_folders(tmp_path, side=16)
    assert data.labels == ("Bored", "Happy", "Joy", "müde")
    assert sum(data.counts().values()) == 20
    shutil.rmtree(tmp_path / "Happy")
    assert read_folders(tmp_path, side=16).labels == ("Bored", "happy", "müde")


def test_links_and_what_is_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, away = tmp_path / "faces", tmp_path / "away"
    for name in ("happy", "sad"):
        fill(root / name, 5)
    fill(away, 5)
    (root / "fear").symlink_to(away)  # a class that lies elsewhere
    for name, target in (("loop", root), ("up", tmp_path), ("joy", root / "happy"), ("here", ".")):
        (root / name).symlink_to(target)
    (root / "sad" / "up").symlink_to(root)
    (root / "sad" / "fear").symlink_to(away)
    assert read_folders(root, side=16).labels == ("fear", "happy", "sad")
    left_out = [message.split(": ")[0] for message in caplog.messages]
    assert left_out == [str(root / name) for name in ("here", "joy", "loop", "up")]
    os.mkfifo(root / "sad" / "pipe.png")
    (root / "sad" / "gone.png").symlink_to("nowhere")
    data = read_folders(root, side=16, skip_bad=True)
    assert sum(data.counts().values()) == 15
    assert [bad.location for bad in data.bad] == ["sad/gone.png", "sad/pipe.png"]


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("happy", "sad"):
        fill(tmp_path / name, 5)
    (tmp_path / "sad" / "more").mkdir()
    scan = os.scandir

    def refuse(folder: str) -> object:
        if str(folder).endswith("more"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="sad/more"):
        read_folders(tmp_path, side=16)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (os.fsdecode(b"caf\xe9"), "its name isn't UTF-8: rename it"),
        ("a\x1b[31m", "its name holds a control character: rename it"),
        ("a\nb", "its name holds a control character"),
        ("a\u202eb", "its name holds a control character"),
        (" ", "a label has 1 to 100 bytes"),
        ("\u00e4" * 51, "a label has 1 to 100 bytes"),
    ],
)
def test_a_name_that_cannot_be_a_label_is_refused(tmp_path: Path, name: str, message: str) -> None:
    for one in ("happy", name):
        fill(tmp_path / one, 3)
    with pytest.raises(DataError, match=message):
        read_folders(tmp_path, side=16)


def test_too_few_images_for_missing_splits(tmp_path: Path) -> None:
    fill(tmp_path / "a", 5)
    fill(tmp_path / "b", 2)
    with pytest.raises(DataError, match="2 images of 'b': too few to take val and test from"):
        read_folders(tmp_path, side=16)


def test_unreadable_images(tmp_path: Path) -> None:
    fill(tmp_path / "happy", 5)
    fill(tmp_path / "sad", 5)
    (tmp_path / "sad" / "0.png").write_text("no image")
    with pytest.raises(DataError, match=r"sad/0\.png: not an? \w+ \(--skip-bad"):
        read_folders(tmp_path, side=48)
    (tmp_path / "happy" / "4.png").write_text("no image")
    with pytest.raises(DataError, match=r"happy/4\.png: not an? \w+, nor can 1 more be read"):
        read_folders(tmp_path, side=48)
    data = read_folders(tmp_path, side=48, skip_bad=True)
    assert sum(data.counts().values()) == 8
    assert [bad.location for bad in data.bad] == ["happy/4.png", "sad/0.png"]
    assert not any("png" in bad.reason for bad in data.bad)


def test_rows_locate_files(tmp_path: Path) -> None:
    for label, name in enumerate(("happy", "sad")):
        fill(tmp_path / "train" / name, 12, label)
        fill(tmp_path / "test" / name, 3, label)
    (tmp_path / "train" / "happy" / "3.png").write_text("no image")
    data = read_folders(tmp_path, side=48, skip_bad=True)
    for faces in data.splits.values():
        for pixels, row in zip(faces.pixels, faces.rows, strict=True):
            with Image.open(tmp_path / data.location(row)) as image:
                assert np.array_equal(np.asarray(image), pixels)


def test_refusals(tmp_path: Path) -> None:
    one = tmp_path / "one"
    fill(one / "happy", 3)
    with pytest.raises(DataError, match="1 classes"):
        read_folders(one, side=48)
    (one / "sad").mkdir()
    with pytest.raises(DataError, match="sad: an empty class"):
        read_folders(one, side=48)
    fill(one / "fear", 1)
    (one / "sad").rmdir()
    with pytest.raises(DataError, match="1 images of 'fear'"):
        read_folders(one, side=48)
    two = tmp_path / "two"
    for place in ("train/happy", "train/sad", "test/happy"):
        fill(two / place, 3)
    with pytest.raises(DataError, match="'sad' isn't in both train and test"):
        read_folders(two, side=48)
    fill(two / "testing" / "sad", 3)
    with pytest.raises(DataError, match="test and testing are both test"):
        read_folders(two, side=48)


def test_a_lone_split_is_read_as_it_is(tmp_path: Path) -> None:
    """Export and parity need no more; training says what is missing."""
    for name in ("happy", "sad"):
        fill(tmp_path / "test" / name, 2)
    data = read_folders(tmp_path, side=48)
    assert (data.counts(), data.derived_splits) == ({"test": 4}, ())
    with pytest.raises(DataError, match="there is no train split, only test"):
        data.split("train")


@pytest.mark.parametrize("split", ["train", "Valid", "PrivateTest"])
def test_images_beside_a_split_are_refused_by_name(tmp_path: Path, split: str) -> None:
    """They would be hidden: by a class named as a split, or since a folder is no split."""
    fill(tmp_path / split / "happy", 3)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    fill(tmp_path / "__MACOSX" / split, 1)
    (tmp_path / "latest").symlink_to(split)
    (tmp_path / "up").symlink_to("..")
    assert [folder.name for folder in find_splits(tmp_path).values()] == [split]
    fill(tmp_path / "extra" / "sad", 1)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "a.heic").touch()
    message = f"images in extra, holiday would not be read: they lie beside {split}, read as"
    for read in (find_splits, find_images, read_for_inspection):
        with pytest.raises(DataError, match=message):
            read(tmp_path)
