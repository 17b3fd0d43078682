"""The commands as a user types them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import fer_edge
from fer_edge.render.faces import result_text
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.runtime.results import Face, Result
from fer_edge.spec import ModelSpec, ParitySummary
from tests.support.commands import Fer
from tests.support.data import LABELS, write_votes
from tests.support.files import EXAMPLE
from tests.support.processes import run_process

pytestmark = pytest.mark.usefixtures("exporter")


def test_version_and_help(fer: Fer) -> None:
    assert fer("--version").out.strip() == fer_edge.__version__
    assert fer("infer", "-h").code == 0
    assert fer("nothing").code == 2
    assert fer("infer").code == 2


def test_help_without_a_command_lists_them_in_order(fer: Fer) -> None:
    for group, names in (
        ((), "infer info doctor benchmark detector train average evaluate export parity data"),
        (("detector",), "install"),
        (("data",), "inspect"),
    ):
        ran = fer(*group)
        assert (ran.code, ran.err) == (2, "")
        listed = ran.out.partition("Commands:\n")[2].splitlines()
        found = [line.split()[0] for line in listed if line[:2] == "  " and line[2] != " "]
        assert found == names.split()
        assert ran.out == fer(*group, "-h").out


def test_ctrl_c_is_no_traceback(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fer_edge.runtime.formats.spec_reader.read_spec", stopped)
    ran = fer("info")
    assert (ran.code, ran.out, ran.err) == (1, "", "\nAborted!\n")


def test_bars_stand_under_each_other_behind_labels_of_any_script() -> None:
    shares = {"驚き": 0.5, "müde": 0.3, unicodedata.normalize("NFD", "müde!"): 0.2}
    face = Face((0, 0, 9, 9), 1.0, "驚き", 0.5, shares)
    lines = result_text(Result("a.png", 9, 9, (face,), Path("a.png"))).splitlines()[2:]
    starts = [line.index("█") for line in lines]
    # two signs take two columns each, a letter and its accent one together
    assert [starts[0] + 2, starts[1], starts[2] - 1] == [starts[1]] * 3


def test_infer_text(fer: Fer) -> None:
    ran = fer("infer", "--device", "cpu", EXAMPLE)
    assert ran.code == 0
    assert "no face detector is installed" in ran.err
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


def test_a_photograph_is_said_to_be_taken_as_a_face(fer: Fer, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (900, 400)).save(tmp_path / name)
    ran = fer("infer", tmp_path)
    assert ran.code == 0
    assert ran.err.count("no face detector is installed, so a whole picture is taken") == 1
    assert ran.err.count("To find faces: fer detector install") == 1
    ran = fer("infer", "--faces", "whole", tmp_path)
    assert ran.code == 0
    assert "detector" not in ran.err
    ran = fer("infer", "--faces", "detect", tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert "ModelError: no face detector is installed" in ran.err


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
    bad.write_text("no picture")
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


def test_names_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xe9[x].png")
    odd.write_bytes(EXAMPLE.read_bytes())
    script = "from fer_edge.cli import main; main()"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    for option in ("--json", "--csv", "--threads=1"):
        command = [sys.executable, "-c", script, "infer", option, odd, EXAMPLE]
        done = run_process(*command, text=False, env=environment)
        assert done.returncode == 0, done.stderr
        assert b"astronaut" in done.stdout


def test_wrong_usage_and_named_failures(fer: Fer, tmp_path: Path) -> None:
    ran = fer("infer", "--json", "--csv", EXAMPLE)
    assert (ran.code, ran.err) == (2, "ConfigError: --json or --csv, not both\n")
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


def test_a_bug_is_no_traceback(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Path) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("fer_edge.runtime.formats.spec_reader.read_spec", broken)
    ran = fer("info")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("ZeroDivisionError: by zero\nthis is a bug in fer-edge")
    monkeypatch.setenv("FER_EDGE_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        fer("info")


def test_info(fer: Fer) -> None:
    assert "angry, disgust, fear, happy, sad, surprise, neutral" in fer("info").out
    document = json.loads(fer("info", "--json").out)
    assert document["parity"]["passed"] is True


def test_a_closed_pipe_is_quiet() -> None:
    script = "import sys; from fer_edge.cli import main; main()"
    command = [sys.executable, "-c", script, "infer", "--faces", "whole", *[str(EXAMPLE)] * 50]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert complaint == b""


def test_inspect(fer: Fer, csv_file: Path) -> None:
    ran = fer("data", "inspect", csv_file)
    assert ran.code == 0
    assert "unreadable rows or images: 0" in ran.out
    document = json.loads(fer("data", "inspect", csv_file, "--json").out)
    assert document["counts"]["train"]["happy"] == 6
    assert fer("data", "inspect", csv_file / "none").code == 1


def test_train_evaluate_export_parity(
    fer: Fer, csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way once, small."""
    monkeypatch.chdir(tmp_path)
    ran = fer(
        *("train", "--data", csv_file, "--arch", "mobilenet_v3_small", "--weights", "none"),
        *("--network-side", 32, "--epochs", 1, "--batch-size", 14, "--output", "run"),
    )
    assert ran.code == 0, ran.err
    assert "epoch 1/1" in ran.err
    assert "fer-mobilenet_v3_small" in ran.out
    ran = fer("train", "--data", csv_file, "--output", "run")
    assert ran.code == 2
    assert "--resume" in ran.err

    checkpoint, model = Path("run/model.safetensors"), Path("run/fer-mobilenet_v3_small-fp32.onnx")
    ran = fer("export", checkpoint, "--data", csv_file, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["path"] == str(model)
    assert document["parity"]["n"] == 14
    assert model.exists()
    assert Path(document["report"]).exists()
    assert Path(document["html_report"]).exists()

    ran = fer("parity", checkpoint, model, "--data", csv_file, "--json")
    assert ran.code == 0
    golden, test = map(json.loads, ran.out.splitlines())
    assert golden["passed"]
    assert test["passed"]
    assert set(test) >= {
        "n", "agreement", "max_abs_logit_diff", "accuracy_reference", "accuracy_exported",
        "passed", "failures",
    }  # fmt: skip

    reports = []
    for file in (checkpoint, model):
        ran = fer("evaluate", file, "--data", csv_file, "--json")
        assert ran.code == 0, ran.err
        reports.append(json.loads(ran.out))
        assert reports[-1]["size"] == file.stat().st_size
    for file in (checkpoint, model):
        folder = Path("run", "evaluation", f"{file.name}-test")
        assert (folder / "confusion.png").exists()
    ran = fer("evaluate", model, "--data", csv_file, "--split", "val", "--output", folder)
    assert (ran.code, "--force" in ran.err) == (2, True)
    assert reports[0]["confusion"] == reports[1]["confusion"]
    assert reports[0]["accuracy"] == test["accuracy_exported"]

    ran = fer("evaluate", model, "--data", csv_file, "--without-duplicates", "--json")
    assert json.loads(ran.out)["split"] == "test"
    assert json.loads(ran.out)["left_out"] == 14 - json.loads(ran.out)["n"]
    ran = fer("evaluate", model, "--data", csv_file, "--without-duplicates", "--split", "train")
    assert (ran.code, "copies of train" in ran.err) == (2, True)
    ran = fer("evaluate", model, checkpoint, "--data", csv_file, "--json", "--output", "both")
    first, second, both = map(json.loads, ran.out.splitlines())
    assert (first["confusion"], first["model"]) == (second["confusion"], str(model))
    assert both["models"] == [str(model), str(checkpoint)]
    assert both["variation"]["accuracy"]["std"] == 0
    assert both["variation"]["accuracy"]["mean"] == pytest.approx(test["accuracy_exported"])
    assert {path.name for path in Path("both").iterdir()} == {
        model.name, checkpoint.name,
    }  # fmt: skip
    ran = fer("evaluate", model, Path(model).absolute(), "--data", csv_file)
    assert (ran.code, "given twice" in ran.err) == (2, True)
    people = write_votes(tmp_path / "votes.csv")
    ran = fer("evaluate", model, "--data", csv_file, "--ferplus", people, "--json")
    found = json.loads(ran.out)["annotators"]
    assert found["n"] + sum(found["left_out"].values()) == 14
    assert (folder / "annotators.png").exists()
    ran = fer("evaluate", model, checkpoint, "--data", csv_file, "--ferplus", people)
    assert "FER+'s ten annotators" in ran.out
    assert "2 models" in ran.out

    ran = fer("parity", checkpoint, checkpoint)
    assert (ran.code, "the second file is the exported one" in ran.err) == (2, True)
    ran = fer("parity", model, model)
    assert (ran.code, "the first file is the checkpoint" in ran.err) == (2, True)
    ran = fer("export", model)
    assert (ran.code, "only a checkpoint is exported" in ran.err) == (2, True)

    assert fer("infer", "--model", model, EXAMPLE).code == 0
    ran = fer("export", checkpoint, "--output", "x.xml")
    assert ran.code == 2
    assert "writes a file that ends in .onnx" in ran.err


def test_int8_as_it_is_typed(
    fer: Fer, larger_csv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A float run, its twin, and both kinds of int8 file."""
    monkeypatch.chdir(tmp_path)
    # the search is the same without the slow ways to set ranges, which have tests of their own
    monkeypatch.setattr("fer_edge.export.int8_search._RANGES", ("mse", "minmax"))
    data = ("--data", larger_csv_file)
    ran = fer(
        *("train", *data, "--arch", "mobilenet_v3_small", "--weights", "none"),
        *("--network-side", 32, "--epochs", 1, "--batch-size", 21, "--output", "run"),
    )
    assert ran.code == 0, ran.err
    ran = fer("train", "--qat", "--from", "run", *data, "--epochs", 1, "--output", "qat")
    assert ran.code == 0, ran.err
    assert "next: fer export qat/model.safetensors --precision int8 --data" in ran.err
    ran = fer("train", "--qat", "--from", "run/config.json", *data, "--output", "x")
    assert (ran.code, "--from run/config.json: a run's folder or a .saf" in ran.err) == (2, True)
    ran = fer("train", "--qat", "--resume", "--output", "run")
    assert (ran.code, "run: isn't a run of --qat" in ran.err) == (2, True)
    ran = fer("train", "--qat", "--resume", "--from", "run", "--output", "qat")
    assert ran.code == 0, ran.err

    any_gate = ("--min-agreement", 0, "--max-accuracy-loss", 1, "--max-recall-loss", 1)
    export = ("export", "--precision", "int8", *any_gate)
    ran = fer(*export, "qat/model.safetensors", "--output", "qat.onnx")
    assert ran.code == 0, ran.err
    assert "what int8 costs against the float network, only --data shows" in ran.err
    assert "times as fast" in ran.out
    assert "accuracy: float " in fer("parity", "qat/model.safetensors", "qat.onnx", *data).out

    ran = fer(*export, "run/model.safetensors", *data, "--int8-search", "--output", "found.onnx")
    assert ran.code == 0, ran.err
    assert "int8 search on val" in ran.err
    ran = fer(*export, "run/model.safetensors", *data, "--int8-like", "found.onnx")
    assert ran.code == 0, ran.err
    again = Path("run/fer-mobilenet_v3_small-int8.onnx")
    recipes = [read_spec(path).quantization.int8 for path in (again, Path("found.onnx"))]
    assert recipes[0] == recipes[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("export", "--int8-search"), "go with --precision int8"),
        (("export", "--precision", "int8", "--int8-search"), "--int8-search needs --data"),
        (
            ("export", "--precision", "int8", "--int8-search", "--data", "x", "--split", "val"),
            "the gate must look at --split test",
        ),
        (("train", "--data", "x", "--from", "y"), "--from names what --qat starts at"),
    ],
)
def test_wrong_usage_of_int8(fer: Fer, arguments: tuple[str, ...], says: str) -> None:
    ran = fer(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_parity_of_two_strangers_fails(fer: Fer, fp32_model: Path, tmp_path: Path) -> None:
    """A file against a checkpoint of other weights: exit 1, and the threshold is named."""
    from fer_edge.train.networks import checkpoint, quantized

    other = checkpoint.load(bundled("checkpoint"))
    for parameter in other.model.parameters():
        parameter.data *= 1.01
    path = tmp_path / "other.safetensors"
    checkpoint.save(other, path)
    ran = fer("parity", path, fp32_model)
    assert ran.code == 1
    assert "FAILED  golden" in ran.out
    assert "times the threshold of 0.0001" in ran.out
    assert "m.onnx says it was made from another checkpoint: sha256 " in ran.err

    gate = tmp_path / "gate.toml"
    gate.write_text("[fp32]\nmax_abs_logit_diff = 1000\n")
    for options in (
        ("--gate", gate, "--min-agreement", 0),
        ("--max-logit-diff", 1000, "--min-agreement", 0, "--max-recall-loss", 1),
    ):
        ran = fer("parity", path, fp32_model, *options)
        assert (ran.code, "passed  golden" in ran.out) == (0, True), ran.out
    gate.write_text("[fp32]\nagreement = 2\n")
    ran = fer("parity", path, fp32_model, "--gate", gate)
    assert (ran.code, "gate.toml: fp32: agreement must be in [0, 1]" in ran.err) == (2, True)
    ran = fer("parity", path, fp32_model, "--max-accuracy-loss", -1)
    assert (ran.code, "accuracy_loss must be in [0, 1]" in ran.err) == (2, True)

    # an int8 file must answer as the twin does
    assert other.quantized_model is not None
    for layer in quantized.quantized_layers(other.quantized_model).values():
        layer.layer.weight.data *= -1
    checkpoint.save(other, path)
    ran = fer("parity", path, bundled("model"))
    assert (ran.code, "label agreement on golden" in ran.out) == (1, True)
    ran = fer("parity", bundled("checkpoint"), bundled("model"), "--device", "auto")
    assert (ran.code, ran.err) == (0, "")


def test_export_without_the_gate_says_so(fer: Fer, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    for options in (("--min-agreement", 1), ("--gate", tmp_path / "none.toml")):
        ran = fer("export", "--output", path, "--no-gate", *options)
        assert (ran.code, "ConfigError: --no-gate" in ran.err) == (2, True)
    ran = fer("export", "--output", path, "--max-logit-diff", 1e-12)
    assert ran.code == 1
    assert "times the threshold of 1e-12. What to try: " in ran.err
    assert list(tmp_path.iterdir()) == []

    ran = fer("export", "--output", path, "--no-gate")
    assert ran.code == 0
    assert "--no-gate: nothing was refused; thresholds missed: 0" in ran.err
    assert f"{path}.parity.json and {path}.parity.html" in ran.out
    ran = fer("info", path)
    assert "gate off: nothing was refused" in " ".join(ran.out.split())


def test_info_shows_a_file_that_was_not_proved_in_red(spec: ModelSpec) -> None:
    from rich.console import Console

    from fer_edge.render.spec import spec_table

    def shown(parity: ParitySummary) -> str:
        out = io.StringIO()
        console = Console(file=out, width=200, force_terminal=True, color_system="standard")
        console.print(spec_table(replace(spec, parity=parity), "m"))
        (line,) = [line for line in out.getvalue().splitlines() if "parity" in line]
        return line

    good = ParitySummary("test", 9, 1.0, 1e-5, 0.5, 0.5, True)
    red = "\x1b[31m"
    assert red not in shown(good)
    line = shown(replace(good, gate="changed"))
    assert "passed bars that were changed" in line
    assert red not in line
    for bad in (
        replace(good, gate="off"),
        replace(good, passed=False, max_abs_logit_diff=None, gate="off"),
        replace(good, passed=False),
    ):
        assert red in shown(bad)
