from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.commands import Fer


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, 24 copies of train's faces in test, and two files that are no images."""
    root = tmp_path_factory.mktemp("faces")
    random = np.random.default_rng(0)
    for name in ("happy", "sad"):
        for split in ("train", "val"):
            (root / split / name).mkdir(parents=True)
            for i in range(12):
                pixels = random.integers(0, 256, (48, 48), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i:02}.png")
        (root / split / name / "broken.png").write_bytes(b"no image")
    shutil.copytree(root / "train", root / "test")
    return root


def test_inspect_lists_everything(faces: Path, fer: Fer) -> None:
    ran = fer("data", "inspect", faces)
    assert ran.code == 1
    assert f"DataError: {faces}: 2 rows or images can't be read" in ran.err
    assert "unreadable rows or images: 2" in ran.out
    for name in ("happy", "sad"):
        assert ran.out.count(f"val/{name}/broken.png") == 1
    assert "test test/happy/00.png = train train/happy/00.png" in ran.out
    assert ran.out.count(" = train ") == 20
    assert "and 4 more pairs: --json lists all" in ran.out


def test_inspect_as_json_leaves_out_what_is_bad(faces: Path, fer: Fer) -> None:
    ran = fer("data", "inspect", faces, "--skip-bad", "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    (copies,) = (
        one for one in document["copies"] if (one["split"], one["of"]) == ("test", "train")
    )
    assert (copies["exact"], len(copies["pairs"])) == (24, 24)
    assert copies["pairs"][-1] == {
        "face": "test/sad/11.png",
        "copy_of": "train/sad/11.png",
        "labels": ["sad", "sad"],
        "correlation": 1.0,
        "exact": True,
    }
    assert document["bad"][0]["location"] == "val/happy/broken.png"


def test_inspect(fer: Fer, csv_file: Path) -> None:
    ran = fer("data", "inspect", csv_file)
    assert ran.code == 0
    assert "unreadable rows or images: 0" in ran.out
    document = json.loads(fer("data", "inspect", csv_file, "--json").out)
    assert document["counts"]["train"]["happy"] == 6
    assert fer("data", "inspect", csv_file / "none").code == 1
