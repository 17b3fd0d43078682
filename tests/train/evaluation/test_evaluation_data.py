from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_edge.errors import ConfigError, DataError
from fer_edge.spec import DataSpec, ModelSpec
from fer_edge.train.data.class_map import ClassMap
from fer_edge.train.data.dataset import Split
from fer_edge.train.data.folders import ReadFace, read_folders
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.evaluate import match_labels
from fer_edge.train.evaluation.evaluation_data import NO_FACE, EvaluationData, load_evaluation_data
from tests.support.data import draw_face


def fill(folder: Path, count: int, label: int = 0) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(draw_face(label, i)).save(folder / f"{i:02}.png")
    return folder


def load(
    path: Path,
    spec: ModelSpec,
    split: Split = "test",
    *,
    model: str = "m",
    classes: ClassMap | None = None,
    read_face: ReadFace | None = None,
    skip_bad: bool = False,
) -> EvaluationData:
    return load_evaluation_data(
        path, split, {model: spec}, class_map=classes, read_face=read_face, skip_bad=skip_bad
    )


def test_bare_class_folders_are_all_test(tmp_path: Path, spec: ModelSpec) -> None:
    """One image of a class is enough, a class may be empty, and names may be synonyms."""
    fill(tmp_path / "smiling", 12, 3)
    fill(tmp_path / "HA", 1, 3)
    fill(tmp_path / "sad", 5, 4)
    (tmp_path / "fear").mkdir()
    found = load(tmp_path, spec)
    assert (len(found.faces), found.left_out.total, found.scope) == (18, 0, "")
    faces = match_labels(found.data, found.faces, spec, "m")
    counts = np.bincount(faces.labels, minlength=7)
    assert dict(zip(spec.labels, counts.tolist(), strict=True)) == {
        **dict.fromkeys(spec.labels, 0),
        "happy": 13,
        "sad": 5,
    }


def test_a_folder_without_classes_is_refused(tmp_path: Path, spec: ModelSpec) -> None:
    fill(tmp_path / "images", 2)
    (tmp_path / "empty" / "happy").mkdir(parents=True)
    for name in ("images", "empty"):
        with pytest.raises(DataError, match=f"{name}: no folder of a class with images in it"):
            load(tmp_path / name, spec)
    with pytest.raises(DataError, match="none: there is no such file or folder"):
        load(tmp_path / "none", spec)


def test_one_class_is_enough(tmp_path: Path, spec: ModelSpec) -> None:
    fill(tmp_path / "sad", 2)
    assert len(load(tmp_path, spec).faces) == 2


@pytest.mark.parametrize(("folder", "split"), [("Testing", "test"), ("val", "val")])
def test_a_lone_split_is_enough(folder: str, split: Split, tmp_path: Path, spec: ModelSpec) -> None:
    fill(tmp_path / folder / "happy", 3)
    fill(tmp_path / folder / "sad", 4)
    assert len(load(tmp_path, spec, split).faces) == 7
    other: Split = "val" if split == "test" else "test"
    with pytest.raises(DataError, match=f"there is no {other} split, only {split} "):
        load(tmp_path, spec, other)


def test_classes_beside_a_split_are_refused(tmp_path: Path, spec: ModelSpec) -> None:
    for name in ("happy", "sad", "test/happy"):
        fill(tmp_path / name, 2)
    with pytest.raises(DataError, match="images in happy, sad would not be read: they lie beside"):
        load(tmp_path, spec)


def test_splits_need_not_have_the_same_classes(tmp_path: Path, spec: ModelSpec) -> None:
    for name in ("happy", "sad", "fear"):
        fill(tmp_path / "train" / name, 10)
    fill(tmp_path / "test" / "happy", 3)
    assert len(load(tmp_path, spec).faces) == 3


def trained_on(folder: Path, spec: ModelSpec) -> ModelSpec:
    data = read_folders(folder, side=spec.input.side)
    return replace(spec, data=DataSpec(f"FER2013, then {data.name}", "", data.counts()))


def leave_out(folder: Path, away: Path) -> None:
    """Add what isn't read to a folder of classes."""
    fill(away, 2)
    fill(folder / "@Anna", 1)
    fill(folder / "happy" / "__x", 1)
    (folder / "happy" / "more").symlink_to(away)
    for name in ("happy/a.HEIC", "happy/b.txt", "happy/._00.png", "loose.jpg", ".b.jpg", "README"):
        (folder / name).touch()


def test_whatever_is_left_out_is_counted(tmp_path: Path, spec: ModelSpec) -> None:
    for name in ("happy", "sad"):
        fill(tmp_path / "bare" / name, 3)
        fill(tmp_path / "whole" / "test" / name, 3)
        fill(tmp_path / "whole" / "train" / name, 3)
    (tmp_path / "whole" / "train" / "sad" / "c.txt").touch()
    for root, folder in (("bare", "bare"), ("whole", "whole/test")):
        leave_out(tmp_path / folder, tmp_path / "away" / root)
        assert str(load(tmp_path / root, spec).left_out) == (
            "6 left out (2 system or hidden folders, 1 .heic, 1 .txt, "
            "1 image outside the classes, 1 linked folder)"
        )
    (tmp_path / "whole" / "loose.png").touch()
    found = load(tmp_path / "whole", spec)
    assert found.left_out.counts["image outside the classes"] == 2


def test_training_warns_of_what_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "faces"
    for name in ("happy", "sad"):
        fill(root / name, 5)
    (root / "up").symlink_to(root)
    leave_out(root, tmp_path / "away")
    assert sum(read_data(root).counts().values()) == 10
    assert caplog.messages[0] == (
        f"{root}: left out: 2 linked folders, 2 system or hidden folders, 1 .heic, 1 .txt, "
        "1 image outside the classes"
    )


def test_what_training_held_out_is_evaluated(tmp_path: Path, spec: ModelSpec) -> None:
    """The model's spec names the data; the record of its run knows them under any name."""
    root = tmp_path / "faces"
    fill(root / "happy", 20, 3)
    fill(root / "sad", 30, 4)
    trained = trained_on(root, spec)
    data = read_folders(root, side=spec.input.side)
    held = {data.location(row) for row in data.splits["test"].rows}
    for model, one in (("m", trained), (str(tmp_path / "run" / "m.onnx"), trained)):
        found = load(root, one, model=model)
        assert {found.data.location(row) for row in found.faces.rows} == held
        assert found.scope == "the test split that training takes from 50 images"
    renamed = root.rename(tmp_path / "renamed")
    assert len(load(renamed, trained).faces) == 50
    run = tmp_path / "run"
    run.mkdir()
    digests = {name: faces.sha256() for name, faces in data.splits.items()}
    (run / "inputs.json").write_text(json.dumps({"sha256": digests}))
    assert len(load(renamed, trained, model=str(run / "m.onnx")).faces) == 5
    (run / "inputs.json").write_text(json.dumps({"sha256": {"train": "0"}}))
    assert len(load(renamed, trained, model=str(run / "m.onnx")).faces) == 50


def test_val_and_train_of_bare_folders_are_those_of_training(
    tmp_path: Path, spec: ModelSpec
) -> None:
    fill(tmp_path / "happy", 20, 3)
    fill(tmp_path / "sad", 30, 4)
    assert [len(load(tmp_path, spec, split).faces) for split in ("train", "val")] == [40, 5]


def test_images_that_may_have_been_trained_on_are_warned_of(
    tmp_path: Path, spec: ModelSpec, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "faces"
    fill(root / "happy", 20, 3)
    fill(root / "sad", 20, 4)
    trained = trained_on(root, spec)
    fill(root / "fear", 2, 2)  # added since
    assert len(load(root, trained).faces) == 42
    assert "m was trained on faces, 40 images: if these are among them" in caplog.text
    caplog.clear()
    fill(tmp_path / "other" / "happy", 5)
    load(tmp_path / "other", trained)
    assert not caplog.text


def test_classes_without_a_label_are_all_named_before_an_image_is_read(
    tmp_path: Path, spec: ModelSpec
) -> None:
    fill(tmp_path / "happy", 3)
    for name in ("contempt", "1"):
        fill(tmp_path / name, 3)
        (tmp_path / name / "bad.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"labels '1', 'contempt', only .* --ignore-class, or"):
        load(tmp_path, spec)
    classes = ClassMap({"1": "sad"}, ("Contempt",))
    with pytest.raises(DataError, match=r"1/bad\.png: "):
        load(tmp_path, spec, classes=classes)
    found = load(tmp_path, spec, classes=classes, skip_bad=True)
    assert str(found.left_out) == "5 left out (4 of the ignored class contempt, 1 unreadable)"
    assert [item.location for item in found.left_out.items] == ["1/bad.png"]
    assert len(match_labels(found.data, found.faces, spec, "m", classes)) == 6


def test_a_class_of_fer2013_is_left_out(csv_file: Path, spec: ModelSpec) -> None:
    spec = replace(spec, labels=tuple(label for label in spec.labels if label != "disgust"))
    classes = ClassMap(ignored=("Disgust",))
    found = load(csv_file, spec, classes=classes)
    assert (len(found.faces), found.left_out.total) == (12, 2)
    faces = match_labels(found.data, found.faces, spec, "m", classes)
    assert sorted(set(faces.labels.tolist())) == list(range(6))
    with pytest.raises(ConfigError, match="--faces detect is for photographs"):
        load(csv_file, spec, read_face=lambda _: NO_FACE)


def test_images_without_a_face_are_left_out(tmp_path: Path, spec: ModelSpec) -> None:
    fill(tmp_path / "happy", 3)
    face = np.zeros((spec.input.side, spec.input.side), np.uint8)
    found = load(tmp_path, spec, read_face=lambda path: NO_FACE if path.name == "01.png" else face)
    assert len(found.faces) == 2
    assert str(found.left_out) == "1 left out (1 without a face)"
    assert [item.location for item in found.left_out.items] == ["happy/01.png"]


def test_copies_of_train_are_left_out(tmp_path: Path, spec: ModelSpec) -> None:
    fill(tmp_path / "train" / "happy", 12, 3)
    fill(tmp_path / "train" / "sad", 12, 4)
    fill(tmp_path / "test" / "happy", 3, 3)
    fill(tmp_path / "test" / "sad", 2, 0)
    found = load_evaluation_data(tmp_path, "test", {"m": spec}, without_duplicates=True)
    assert str(found.left_out) == "3 left out (3 near copies of faces in train)"
    fill(tmp_path / "bare" / "happy", 3)
    with pytest.raises(ConfigError, match="bare is all test: there is no train in it"):
        load_evaluation_data(tmp_path / "bare", "test", {"m": spec}, without_duplicates=True)


def test_images_are_read_once(
    tmp_path: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "happy", 3)
    first = load(tmp_path, spec)
    with monkeypatch.context() as patched:
        patched.setattr("fer_edge.train.data.loading.read_split", None)
        assert load(tmp_path, spec).faces.sha256() == first.faces.sha256()
    (tmp_path / "happy").rename(tmp_path / "sad")
    assert load(tmp_path, spec).data.labels == ("sad",)
