from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import DataError
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.cropped_faces import FaceLimits
from tests.support.commands import Fer, plain_text
from tests.support.data import draw_face
from tests.support.files import EXAMPLE


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


def test_crop_cuts_faces_out_of_photographs(fer: Fer, yunet: Path, tmp_path: Path) -> None:
    photos, output = tmp_path / "photos", tmp_path / "faces"
    photos.mkdir()
    shutil.copy(EXAMPLE, photos)
    (photos / "bad.jpg").write_bytes(b"no image")
    given = ("data", "crop", photos, output, "--detector", yunet)
    ran = fer(*given)
    assert (ran.code, ran.err) == (0, f"{photos / 'bad.jpg'}: not an image\n")
    assert ran.out == "1 photograph (1 more unreadable): 1 face, 0 dropped, 1 written\n"
    (face,) = output.iterdir()
    (cropped,) = Recognizer.load(faces="detect", detector=yunet).prepare(EXAMPLE).crops.faces
    assert np.array_equal(np.asarray(Image.open(face)), cropped)
    (tmp_path / "known" / "test" / "happy").mkdir(parents=True)
    shutil.copy(face, tmp_path / "known" / "test" / "happy")
    (tmp_path / "known" / "test" / "sad").mkdir()
    Image.fromarray(draw_face(4, 0)).save(tmp_path / "known" / "test" / "sad" / "0.png")
    ran = fer(*given, "--not-in", tmp_path / "known")
    assert ran.code == 1
    assert "no face to write: " in ran.err
    assert "1 near copies of held-out faces" in ran.err
    ran = fer(*given, "--json")
    assert (json.loads(ran.out)["present"], json.loads(ran.out)["written"]) == (1, 0)


def test_crop_says_what_is_wrong(fer: Fer, tmp_path: Path) -> None:
    for name in ("happy", "sad"):
        (tmp_path / "known" / "train" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(draw_face(1, i)).save(tmp_path / "known" / "train" / name / f"{i}.png")
    given = ("data", "crop", tmp_path / "none", tmp_path / "faces")
    for more, message in (
        (
            ("--not-in", tmp_path / "known"),
            f"DataError: {tmp_path / 'none'}: there is no such folder",
        ),
        (("--min-score", 0.1), "ConfigError: min_score must be in [0.6, 1], not 0.1"),
        (("--min-side", 0), "ConfigError: min_side must be 1 or more, not 0"),
    ):
        ran = fer(*given, *more)
        assert (ran.code, ran.out) == (1 if message.startswith("Data") else 2, "")
        assert message in ran.err
    shown = plain_text(fer("data", "crop", "--help").out)
    limits = FaceLimits()
    assert f"[default: {limits.min_score}]" in shown
    assert f"[default: {limits.min_side}]" in shown


def test_a_network_is_distilled_from_the_logits_of_teachers(
    fer: Fer, csv_file: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "own.toml"
    recipe.write_text(
        'architecture = "tiny"\nweights = "none"\nepochs = 2\nbatch_size = 16\n'
        "[augmentation]\nrotation = 5\n"
    )
    given = ("--data", csv_file, "--recipe", recipe)
    taught = fer("train", *given, "--output", tmp_path / "teacher")
    assert taught.code == 0, taught.err
    kept = tmp_path / "a.safetensors"
    ask = ("data", "logits", csv_file, "--teacher", tmp_path / "teacher", "--views", 2)
    asked = fer(*ask, "--recipe", recipe, "--output", kept)
    assert asked.code == 0, asked.err
    assert asked.err.endswith("2 views of 42 faces, by 1 teacher\n")
    student = fer("train", *given, "--teacher-logits", kept, "--output", tmp_path / "student")
    assert student.code == 0, student.err
    assert read_spec(tmp_path / "student" / "model.safetensors").data.teachers == ("FER2013",)
    other = fer(*ask, "--output", kept)
    assert other.code == 0, other.err
    refused = fer("train", *given, "--teacher-logits", kept, "--output", tmp_path / "other")
    assert refused.code == 2
    assert "needs [augmentation] in the recipe with rotation = 12" in refused.err


def test_the_settings_of_a_recipe_hold_unless_an_option_overrides_them(
    fer: Fer, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainConfig] = []

    def collect(config: TrainConfig, *_: object) -> None:
        seen.append(config)
        raise DataError("enough")

    monkeypatch.setattr("fer_edge.train.teacher_logits.collect_logits", collect)
    faces = tmp_path / "faces"
    faces.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    Image.fromarray(noise).save(faces / "1.png")
    recipe = tmp_path / "own.toml"
    recipe.write_text(
        f'teachers = ["base"]\nmirror_teachers = true\nviews = 3\nseed = 5\nside = 40\n'
        f'unlabelled = "{faces}"\nepochs = 2\n[augmentation]\nrotation = 5\n'
    )
    given = ("data", "logits", csv_file, "--output", tmp_path / "a.safetensors")
    checkpoint = str(bundled("checkpoint"))
    expected = {
        "teachers": (checkpoint,), "mirror_teachers": True, "views": 3, "seed": 5, "side": 40,
        "unlabelled": str(faces),
    }  # fmt: skip
    assert "enough" in fer(*given, "--recipe", recipe).err
    assert vars(seen[0]).items() >= expected.items()
    assert seen[0].augmentation.rotation == 5
    fer(*given, "--recipe", recipe, "--views", 2, "--seed", 0, "--no-mirror")
    assert (seen[1].views, seen[1].seed, seen[1].mirror_teachers) == (2, 0, False)
    fer(*given, "--teacher", "base")
    assert (seen[2].views, seen[2].seed, seen[2].side) == (8, 0, 48)
    refused = fer(*given)
    assert (refused.code, len(seen)) == (2, 3)
    assert "--teacher is missing" in refused.err
