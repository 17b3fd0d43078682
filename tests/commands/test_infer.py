"""`fer infer` on images."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from fer_edge.runtime.formats.model_files import bundled
from tests.support.commands import Fer
from tests.support.data import LABELS
from tests.support.files import EXAMPLE


def test_infer_text(fer: Fer) -> None:
    ran = fer("infer", "--device", "cpu", EXAMPLE)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert "happy" in lines[1]
    assert len(lines) == 2 + len(LABELS)


def test_a_device_that_is_not_here(
    fer: Fer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fer_edge.runtime.backends import onnxruntime_backend, openvino_backend

    for engine in (onnxruntime_backend, openvino_backend):  # a machine with a GPU passes too
        monkeypatch.setattr(engine, "devices", lambda: ("cpu",))
    ran = fer("infer", "--device", "gpu", EXAMPLE)
    assert (ran.code, ran.out) == (1, "")
    assert "the device 'gpu' isn't here: onnxruntime has cpu; openvino has cpu" in ran.err
    assert fer("infer", "--device", "tpu", EXAMPLE).code == 2
    ran = fer("parity", bundled("checkpoint"), bundled("model"), "--device", "npu")
    assert (ran.code, ran.out) == (1, "")
    assert "the device 'npu' isn't here: onnxruntime has cpu; openvino has cpu" in ran.err
    for options in (("--device", "gpu"), ("--backend", "openvino")):
        ran = fer("evaluate", bundled("checkpoint"), "--data", tmp_path, *options)
        assert (ran.code, "a checkpoint runs under PyTorch on the CPU" in ran.err) == (1, True)


def test_infer_json_has_the_promised_keys(fer: Fer) -> None:
    document = json.loads(fer("infer", "--json", EXAMPLE).out)
    assert set(document) >= {"source", "width", "height", "faces"}
    (face,) = document["faces"]
    assert set(face) >= {"box", "emotion", "confidence", "probabilities"}
    assert list(face["probabilities"]) == list(LABELS)


def test_no_face_is_no_error(fer: Fer, tmp_path: Path) -> None:
    """Never the whole picture in place of a face."""
    Image.new("L", (900, 400)).save(tmp_path / "a.png")
    ran = fer("infer", tmp_path / "a.png")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{tmp_path / 'a.png'}  (900 x 400)\n  no face found\n"
    document = json.loads(fer("infer", "--json", tmp_path / "a.png").out)
    assert (document["faces"], document["faces_from"]) == ([], "detector")
    (row,) = csv.DictReader(io.StringIO(fer("infer", "--csv", tmp_path / "a.png").out))
    assert (row["face"], row["score"], row["small"]) == ("", "", "")


def test_options_of_detection(fer: Fer) -> None:
    for option, value, message in (
        ("--detect-side", "x", "--detect-side x: auto, or a number of pixels"),
        ("--detect-side", "7", "the side for detection must be from 32 to 16,384, not 7"),
        ("--detect-score", "nan", "score"),  # the newest Typer refuses it by itself
    ):
        ran = fer("infer", option, value, EXAMPLE)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err
    (sure,) = json.loads(fer("infer", "--json", EXAMPLE).out)["faces"]
    score = sure["score"]
    for option, is_found in ((score - 0.01, True), (min(1.0, score + 0.01), False)):
        ran = fer("infer", "--json", "--detect-score", option, EXAMPLE)
        assert bool(json.loads(ran.out)["faces"]) == is_found
    ran = fer("infer", "--json", "--detect-side", "320", EXAMPLE)
    assert len(json.loads(ran.out)["faces"]) == 1


def test_infer_finds_faces(fer: Fer, yunet: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "green").save(tmp_path / "green.png")
    ran = fer("infer", "--json", "--detector", yunet, EXAMPLE, tmp_path / "green.png")
    assert (ran.code, "detector" in ran.err) == (0, False)
    first, second = map(json.loads, ran.out.splitlines())
    assert first["faces"][0]["box"][2] < first["width"]
    assert second["faces"] == []
    assert "no face" in fer("infer", "--detector", yunet, tmp_path / "green.png").out
    ran = fer("infer", "--detector", yunet, "--min-face", 250, EXAMPLE)
    assert "no face" in ran.out


def test_infer_several_with_an_unreadable_one(fer: Fer, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    ran = fer("infer", "--csv", EXAMPLE, bad, tmp_path / "none.jpg", EXAMPLE)
    assert ran.code == 1
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["source"] for row in rows] == [str(EXAMPLE)] * 2
    assert sum(float(rows[0][label]) for label in LABELS) == pytest.approx(1, abs=1e-5)
    assert "SourceError" in ran.err
    assert "bad.png: not an image" in ran.err
    assert "none.jpg: there is no such file" in ran.err


def test_infer_saves_without_overwriting(fer: Fer, tmp_path: Path) -> None:
    for _ in range(2):
        assert fer("infer", EXAMPLE, "--save", tmp_path / "out").code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "astronaut-2.png",
        "astronaut.png",
    ]


def test_annotated_pictures_are_not_read_again(fer: Fer, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(EXAMPLE.read_bytes())
    for count in (1, 2):
        ran = fer("infer", "--csv", tmp_path, "--save", tmp_path / "out")
        assert ran.code == 0
        assert len(ran.out.splitlines()) == 2
        assert len(list((tmp_path / "out").iterdir())) == count
    # who names them means them
    for named in (tmp_path / "out", tmp_path / "out" / "a.png"):
        ran = fer("infer", "--csv", named, "--save", tmp_path / "out")
        assert len(ran.out.splitlines()) > 1


def test_a_folder_with_what_can_not_be_read(fer: Fer, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(EXAMPLE.read_bytes())
    (tmp_path / "b.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    ran = fer("infer", "--csv", tmp_path)
    assert ran.code == 1
    assert len(ran.out.splitlines()) == 2
    assert "b.HEIC: HEIC cannot be read: save it as JPEG or PNG" in ran.err


def test_several_faces_have_a_line_each(fer: Fer, yunet: Path, tmp_path: Path) -> None:
    with Image.open(EXAMPLE) as image:
        two = Image.new("RGB", (2 * image.width, image.height))
        two.paste(image, (0, 0))
        two.paste(image, (image.width, 0))
    two.save(tmp_path / "two.png")
    lines = fer("infer", "--detector", yunet, tmp_path / "two.png").out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("  face 0   happy 9")
    assert " at " in lines[2]


def test_wrong_usage_and_named_failures(fer: Fer, tmp_path: Path) -> None:
    ran = fer("infer", "--json", "--csv", EXAMPLE)
    assert (ran.code, ran.err) == (2, "ConfigError: choose --json or --csv, not both\n")
    ran = fer("infer", "--model", tmp_path / "no.onnx", EXAMPLE)
    assert ran.code == 1
    assert ran.err.startswith("ModelError: ")
    ran = fer("train", "--output", tmp_path / "run")
    assert (ran.code, "--data is missing" in ran.err) == (2, True)
    assert fer("infer", "--backend", "tensorrt", EXAMPLE).code == 2
    (tmp_path / "file").touch()
    ran = fer("infer", EXAMPLE, "--save", tmp_path / "file")
    assert (ran.code, ran.out, "a file, not a folder" in ran.err) == (2, "", True)
    ran = fer("infer", EXAMPLE, "--save", tmp_path / "file" / "x")
    assert ran.code == 1
    assert "NotADirectoryError" in ran.err
    assert "Traceback" not in ran.err


def test_results_say_where_the_faces_come_from(fer: Fer, yunet: Path) -> None:
    for options, expected in ((("--faces", "whole"), "whole"), (("--detector", yunet), "detector")):
        assert json.loads(fer("infer", "--json", *options, EXAMPLE).out)["faces_from"] == expected
        (row,) = csv.DictReader(io.StringIO(fer("infer", "--csv", *options, EXAMPLE).out))
        assert row["faces_from"] == expected


def test_a_checkpoint_is_to_be_exported_first(fer: Fer, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    for model in (bundled("checkpoint"), tmp_path):
        ran = fer("infer", "--model", model, EXAMPLE)
        assert (ran.code, ran.out) == (2, "")
        assert f"{model} is a checkpoint: export it first, with fer export {model}" in ran.err


def test_a_folder_is_no_model(fer: Fer, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").mkdir()
    ran = fer("infer", "--model", tmp_path / "m.onnx", EXAMPLE)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"ModelError: {tmp_path}/m.onnx: a folder, not a model file\n"


def test_an_uncertain_face_names_the_likeliest_label(fer: Fer) -> None:
    ran = fer("infer", "--min-confidence", 1, EXAMPLE)
    assert "  uncertain (happy 9" in ran.out
    assert "sure" not in ran.out


def test_annotated_images_keep_their_format(fer: Fer, tmp_path: Path) -> None:
    with Image.open(EXAMPLE) as image:
        for name in ("a.JPG", "b.webp", "c.gif"):
            image.convert("RGB").save(tmp_path / name)
    ran = fer("infer", tmp_path, "--faces", "whole", "--save", tmp_path / "out")
    assert ran.code == 0, ran.err
    saved = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in saved] == ["a.JPG", "b.webp", "c.png"]
    for path, format in zip(saved, ("JPEG", "WEBP", "PNG"), strict=True):
        with Image.open(path) as image:
            assert image.format == format
