from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import fer_edge
from fer_edge.runtime.formats.model_files import bundled
from tests.support.commands import Fer, plain_text
from tests.support.data import draw_face
from tests.support.files import EXAMPLE
from tests.support.networks import make_checkpoint, with_float32_weights


def test_no_report_replaces_that_of_another_model(
    fer: Fer, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models with one file name: each has a folder, in its run or in the current one."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "away"):
        Path(name).mkdir()
    first = make_checkpoint("tiny", Path("a"))
    second = with_float32_weights(first, Path("away")).rename(Path("b") / first.name)

    def evaluate(*arguments: object) -> int:
        return fer("evaluate", *arguments, "--data", csv_file).code

    assert (evaluate(first), evaluate(second)) == (0, 0)
    folders = list(Path().glob(f"evaluation-{first.name}-test-*"))
    reports = [json.loads((folder / "report.json").read_text()) for folder in folders]
    assert {report["model"] for report in reports} == {str(first), str(second)}
    for run in (first.parent, second.parent):
        (run / "config.json").touch()
    assert (evaluate(first), evaluate(second)) == (0, 0)
    for model in (first, second):
        path = model.parent / "evaluation" / f"{model.name}-test" / "report.json"
        assert json.loads(path.read_text())["model"] == str(model)

    assert evaluate(first, "--output", "one") == 0
    before = Path("one", "report.json").read_bytes()
    assert evaluate(second, "--output", "one") == 2
    assert Path("one", "report.json").read_bytes() == before
    assert evaluate(second, "--output", "one", "--force") == 0
    assert json.loads(Path("one", "report.json").read_text())["model"] == str(second)


def test_no_report_replaces_that_of_another_engine(
    fer: Fer, csv_file: Path, tmp_path: Path
) -> None:
    given = ("evaluate", bundled("model"), "--data", csv_file, "--output", tmp_path)
    assert fer(*given, "--backend", "onnxruntime").code == 0
    ran = fer(*given, "--backend", "openvino")
    assert (ran.code, "under another engine, onnxruntime: name another" in ran.err) == (2, True)
    assert fer(*given, "--backend", "openvino", "--force").code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["engine"], report["device"]) == ("openvino", "cpu")


def test_a_run_is_named_by_its_folder(fer: Fer, csv_file: Path, tmp_path: Path) -> None:
    model = make_checkpoint("tiny", tmp_path).rename(tmp_path / "model.safetensors")
    (tmp_path / "config.json").touch()
    ran = fer("evaluate", tmp_path, "--data", csv_file, "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["model"], report["engine"]) == (str(model), "pytorch")
    path = tmp_path / "evaluation" / "model.safetensors-test" / "report.json"
    assert json.loads(path.read_text()) == report
    called = fer_edge.evaluate(tmp_path, csv_file)
    assert json.loads(json.dumps(called.to_dict())) == report
    assert fer_edge.export(tmp_path).path.parent == tmp_path
    ran = fer("evaluate", tmp_path, model, "--data", csv_file)
    assert (ran.code, "a model is given twice" in ran.err) == (2, True)


def save_faces(folder: Path, count: int, label: int) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(draw_face(label, i)).save(folder / f"{i}.png")


def test_a_folder_of_classes_is_the_test_set(fer: Fer, tmp_path: Path) -> None:
    """The first line counts what is used and left out; a class without images has no recall."""
    faces = tmp_path / "faces"
    for label, name in ((3, "HA"), (4, "sad"), (5, "7")):
        save_faces(faces / name, 4, label)
    given = ("evaluate", bundled("model"), "--data", faces, "--output", tmp_path / "report")
    ran = fer(*given)
    assert (ran.code, "doesn't know the label '7', only angry" in ran.err) == (1, True)
    ran = fer(*given, "--ignore-class", "7")
    assert ran.code == 0, ran.err
    first = ran.out.splitlines()[0]
    expected = "8 images of 2 classes evaluated, 4 left out (4 of the ignored class 7)"
    assert first == expected
    assert "fear - - - - 0" in plain_text(ran.out)
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (report["n"], report["left_out"]) == (8, 4)
    assert report["per_class"]["fear"]["recall"] is None
    (tmp_path / "map.toml").write_text('7 = "Surprised"')
    ran = fer(*given, "--class-map", tmp_path / "map.toml", "--force")
    assert ran.out.startswith("12 images of 3 classes evaluated, 0 left out\n")
    called = fer_edge.evaluate(bundled("model"), faces, class_map=tmp_path / "map.toml")
    assert len(called.truth) == 12


def test_photographs_are_searched_for_faces(fer: Fer, yunet: Path, tmp_path: Path) -> None:
    for name in ("happy", "neutral"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    for name in ("none", "empty"):
        Image.new("RGB", (200, 300), "gray").save(tmp_path / "photos" / "happy" / f"{name}.png")
    shutil.copy(EXAMPLE, tmp_path / "photos" / "neutral")
    given = ("evaluate", bundled("model"), "--data", tmp_path / "photos", "--faces", "detect")
    ran = fer(*given, "--output", tmp_path / "r", "--detector", "yunet")
    assert (ran.code, "YuNet isn't installed" in ran.err) == (1, True)
    ran = fer(*given, "--output", tmp_path / "r", "--detector", yunet)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("1 image of 1 class evaluated, 2 left out (2 without a face)\n")
    assert "left out: happy/empty.png: no face found" in ran.out
    ran = fer("evaluate", bundled("model"), "--data", tmp_path, "--detector", yunet)
    assert (ran.code, "--detector is for --faces detect" in ran.err) == (2, True)


def test_corruptions(fer: Fer, csv_file: Path, tmp_path: Path) -> None:
    """Of a checkpoint and an exported file; a report without them doesn't replace one with them."""
    checkpoint = make_checkpoint("tiny", tmp_path)
    for model in (bundled("model"), checkpoint):
        folder = tmp_path / model.suffix
        given = ("evaluate", model, "--data", csv_file, "--output", folder)
        ran = fer(*given, "--corruptions", "--json")
        assert ran.code == 0, ran.err
        report = json.loads(ran.out)
        assert len(report["corruptions"]["rows"]) == 20
        assert report["corruptions"]["clean"]["accuracy"] == report["accuracy"]
        assert json.loads((folder / "report.json").read_text()) == report
        assert "corruptions.png" in ran.err
        assert (folder / "corruptions.png").is_file()
    ran = fer(*given)
    assert (ran.code, "a report with corruptions, which this one lacks" in ran.err) == (2, True)
    ran = fer(*given, "--corruptions")
    assert ran.code == 0, ran.err
    shown = plain_text(ran.out)
    assert "corruption accuracy unchanged labels calibration error" in shown
    assert "predicted labels, %" in shown
    assert "mean, corrupted" in shown
