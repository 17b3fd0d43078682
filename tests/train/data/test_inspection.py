from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.train.data import inspection
from fer_edge.train.data.folders import read_folders
from fer_edge.train.data.inspection import CopyPair, inspect_data, read_for_inspection


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


def test_copies_are_named_as_pairs(tmp_path: Path) -> None:
    folders = [tmp_path / s / name for s in ("train", "val", "test") for name in ("happy", "sad")]
    for k, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for i in range(3):
            Image.fromarray(noise(10 * k + i)).save(folder / f"{i}.png")
    exact, brighter = noise(1), (noise(12) * 0.8 + 30).astype(np.uint8)
    Image.fromarray(exact).save(tmp_path / "val" / "happy" / "copy.png")
    Image.fromarray(brighter).save(tmp_path / "test" / "sad" / "bright.png")
    (tmp_path / "val" / "sad" / "broken.png").write_bytes(b"x")
    found = inspect_data(read_folders(tmp_path, side=48, skip_bad=True))
    by_split = {(one.split, one.of): one for one in found.copies}
    val, test = by_split["val", "train"], by_split["test", "train"]
    assert (val.exact, val.near, test.exact, test.near) == (1, 1, 0, 1)
    assert val.pairs == (
        CopyPair("val/happy/copy.png", "train/happy/1.png", ("happy", "happy"), 1.0, True),
    )
    (near,) = test.pairs
    assert (near.face, near.copy_of) == ("test/sad/bright.png", "train/sad/2.png")
    assert 0.95 <= near.correlation <= 1
    assert not near.exact
    assert by_split["test", "val"].pairs == ()
    assert [bad.location for bad in found.bad] == ["val/sad/broken.png"]
    assert found.to_dict()["copies"][0]["pairs"][0]["copy_of"] == "train/happy/1.png"


def test_copies_inside_a_split_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above all, one image in two classes."""
    for k, name in enumerate(("happy", "sad")):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(noise(100 * k + i)).save(tmp_path / "train" / name / f"{i:02}.png")
    Image.fromarray(noise(3)).save(tmp_path / "train" / "sad" / "copy.png")
    found = inspect_data(read_folders(tmp_path, side=48))
    pairs = {one.face: one for copies in found.copies for one in copies.pairs}
    assert set(pairs) == {"train/sad/copy.png"}
    one = pairs["train/sad/copy.png"]
    assert (one.copy_of, one.labels) == ("train/happy/03.png", ("sad", "happy"))
    monkeypatch.setattr(inspection, "MAX_NEAR_COPIES", 1)
    found = inspect_data(read_folders(tmp_path, side=48))
    own = [one for one in found.copies if one.split == one.of == "train"]
    assert [(one.exact, one.near) for one in own] == [(1, None)]


def test_what_training_refuses_is_inspected(tmp_path: Path) -> None:
    """Unreadable files are listed even where no image of a class is left."""
    for split, name in (("train", "happy"), ("train", "sad"), ("test", "happy")):
        (tmp_path / split / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(noise(i)).save(tmp_path / split / name / f"{i}.png")
    for i in range(3):
        (tmp_path / "train" / "sad" / f"{i}.png").write_bytes(b"x")
    data, reason = read_for_inspection(tmp_path)
    assert "the class 'sad' isn't in both train and test" in reason
    found = inspect_data(data)
    assert [bad.location for bad in found.bad] == [f"train/sad/{i}.png" for i in range(3)]
    assert found.counts == {"train": {"happy": 3, "sad": 0}, "test": {"happy": 3, "sad": 0}}
