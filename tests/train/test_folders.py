from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import DataError
from fer_edge.train.folders import read_folders
from tests.conftest import drawn


def fill(folder: Path, count: int, label: int = 0) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(drawn(label, i)).save(folder / f"{i}.png")


def test_train_and_test_with_synonyms(tmp_path: Path) -> None:
    for split in ("train", "Test"):
        for label, name in enumerate(("Happiness", "anger", "neutral")):
            fill(tmp_path / split / name, 20, label)
    data = read_folders(tmp_path, side=48)
    assert data.labels == ("angry", "happy", "neutral")
    assert data.counts() == {"train": 54, "val": 6, "test": 60}
    happy = data.splits["test"].pixels[data.splits["test"].labels == 1]
    assert np.array_equal(happy[0], drawn(0, 0))


def test_own_classes_without_splits_are_cut_alike_every_time(tmp_path: Path) -> None:
    fill(tmp_path / "zufrieden", 10)
    fill(tmp_path / "müde", 30, 1)
    data = read_folders(tmp_path, side=32)
    assert data.labels == ("müde", "zufrieden")
    assert data.counts() == {"train": 32, "val": 4, "test": 4}
    assert data.splits["train"].pixels.shape[1:] == (32, 32)
    again = read_folders(tmp_path, side=32)
    assert np.array_equal(data.splits["val"].rows, again.splits["val"].rows)
    everything = np.concatenate([faces.rows for faces in data.splits.values()])
    assert sorted(everything.tolist()) == list(range(40))


def test_an_unreadable_picture(tmp_path: Path) -> None:
    fill(tmp_path / "happy", 5)
    fill(tmp_path / "sad", 5)
    (tmp_path / "sad" / "0.png").write_text("no picture")
    with pytest.raises(DataError, match=r"sad/0\.png: not a picture \(--skip-bad"):
        read_folders(tmp_path, side=48)
    data = read_folders(tmp_path, side=48, skip_bad=True)
    assert sum(data.counts().values()) == 9
    assert [Path(bad.where).name for bad in data.bad] == ["0.png"]


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
    with pytest.raises(DataError, match="one picture of 'fear'"):
        read_folders(one, side=48)
    two = tmp_path / "two"
    for place in ("train/happy", "train/sad", "test/happy"):
        fill(two / place, 3)
    with pytest.raises(DataError, match="'sad' isn't in both train and test"):
        read_folders(two, side=48)
    fill(two / "testing" / "sad", 3)
    with pytest.raises(DataError, match="test and testing are both test"):
        read_folders(two, side=48)
    three = tmp_path / "three"
    fill(three / "test" / "happy", 2)
    with pytest.raises(DataError, match="no train folder"):
        read_folders(three, side=48)
