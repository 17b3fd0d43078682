"""A user's own classes, from folders of images to exported files."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from tests.support.commands import Fer
from tests.support.data import draw_face

CLASSES = {"happy": 120, "sehr müde": 90, "驚き": 135, "Don't know!": 72}
HEAD = "classifier.1."


def make_image(label: int, i: int) -> Image.Image:
    """Gray or colour, with and without transparency, of many sizes and aspect ratios."""
    random = np.random.default_rng(100 * label + i)
    width, height = random.integers(40, 120, 2).tolist()
    image = Image.fromarray(draw_face(label, i)).resize((width, height))
    return image.convert(("L", "RGB", "RGBA", "P")[i % 4])


@pytest.fixture
def my_faces(tmp_path: Path) -> Path:
    root = tmp_path / "my faces"
    for label, (name, count) in enumerate(CLASSES.items()):
        # a Mac's way to write "ü"; it must come out as everybody else's
        folder = root / unicodedata.normalize("NFD", name)
        folder.mkdir(parents=True)
        for i in range(count):
            suffix = (".png", ".JPG", ".webp", ".bmp")[i % 4] if i % 4 != 2 else ".png"
            image = make_image(label, i)
            (image.convert("RGB") if suffix == ".JPG" else image).save(folder / f"a {i}{suffix}")
        (folder / "Thumbs.db").write_bytes(b"x")
        (folder / "._a 0.png").write_bytes(b"what a Mac leaves behind")
    (root / "__MACOSX").mkdir()
    (root / "notes.txt").touch()
    return root


@pytest.mark.slow
def test_from_folders_to_gated_files(
    fer: Fer, my_faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data, small = ("--data", my_faces), ("--batch-size", 16)
    ran = fer("data", "inspect", my_faces)
    assert "has no val and no test split: taken from train" in " ".join(ran.out.split())

    ran = fer("train", *data, "--network-side", 48, "--epochs", 6, *small)
    assert ran.code == 0, ran.err
    assert "my faces: 4 labels; train 338, val 42, test 37 faces; val and test taken" in ran.err
    assert "happy (with initial weights); Don't know!, sehr müde, 驚き (new)" in ran.err
    assert f"next: fer evaluate run/model.safetensors --data '{my_faces}' ;" in ran.err
    spec = read_spec(Path("run/model.safetensors"))
    assert spec.labels == ("Don't know!", "happy", "sehr müde", "驚き")
    assert spec.data.name == "FER2013, then my faces"
    assert spec.data.licence.startswith("research use only")
    ours, theirs = load_file("run/model.safetensors"), load_file(bundled("checkpoint"))
    cosine = np.corrcoef(ours[f"{HEAD}weight"].float(), theirs[f"{HEAD}weight"].float())[:4, 4:]
    assert cosine[1].argmax() == read_spec(bundled("checkpoint")).labels.index("happy")
    assert cosine[1].max() > 0.9

    ran = fer("export", "run/model.safetensors", *data, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert (document["gate"], document["parity"]["n"]) == ("default", 37)
    assert document["parity"]["accuracy_exported"] > 0.8
    ran = fer("evaluate", document["path"], *data)
    assert ran.code == 0, ran.err
    assert "missing from font" not in ran.err

    ran = fer("train", "--qat", "--from", "run", *data, "--epochs", 3, *small, "--output", "int8")
    assert ran.code == 0, ran.err
    ran = fer("export", "int8/model.safetensors", "--precision", "int8", *data, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert (document["gate"], document["precision"]) == ("default", "int8")
    assert document["parity"]["accuracy_exported"] > 0.8

    image = next(my_faces.glob("驚き/*.png"))
    ran = fer("infer", "--model", document["path"], "--faces", "whole", image, "--json")
    (face,) = json.loads(ran.out)["faces"]
    assert set(face["probabilities"]) == set(CLASSES)
