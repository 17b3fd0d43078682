"""The command `fer` as a whole: help, usage errors, signals and its error boundary."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import fer_edge
from fer_edge import errors
from fer_edge.export.formats import FORMATS
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.train.config import TrainConfig
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.recipe_files import list_recipes, read_recipe
from tests.support.commands import Fer, plain_text
from tests.support.data import draw_face
from tests.support.files import EXAMPLE
from tests.support.forbidden_words import IN_HELP, find_forbidden_words
from tests.support.processes import run_base_install, run_process, run_python

GROUPS = {
    (): "infer cluster serve info doctor benchmark detector train average evaluate data "
    "export parity",
    ("detector",): "install label train evaluate export",
    ("data",): "inspect crop logits",
}
COMMANDS = [
    (*group, name)
    for group, names in GROUPS.items()
    for name in names.split()
    if (name,) not in GROUPS
]


def test_version_and_help(fer: Fer) -> None:
    assert fer("--version").out == fer("-V").out == fer_edge.__version__ + "\n"
    assert fer("infer", "-h").code == 0


@pytest.mark.parametrize("group", GROUPS)
def test_help_without_a_command_lists_them_in_order(fer: Fer, group: tuple[str, ...]) -> None:
    ran = fer(*group)
    assert (ran.code, ran.err) == (2, "")
    listed = re.findall(r"^│ ([a-z]+)  ", ran.out, re.MULTILINE)
    assert listed == GROUPS[group].split()
    assert ran.out.rstrip() == fer(*group, "-h").out.rstrip()


def test_misspelt_names_are_suggested(fer: Fer) -> None:
    for arguments, message in (
        (("infre", "x"), "No such command 'infre'. Did you mean 'infer'"),
        (("infer", "--modle", "x"), "No such option: --modle"),
        (("infer", "--backend", "onxruntime", "x"), "'onxruntime' is not one of 'auto', 'onnx"),
        (("train", "--storage", "fp8"), "'fp8' is not one of 'fp16', 'fp32'"),
        (("infer",), "Missing argument 'SOURCE...'"),
    ):
        ran = fer(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err
        assert "Try 'fer" in ran.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_is_plain_and_complete(fer: Fer, command: tuple[str, ...]) -> None:
    """Sentences without words of our own, an example, and panels; no text is cut off."""
    ran = fer(*command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert find_forbidden_words(plain_text(ran.out), IN_HELP) == []
    assert f"Examples: fer {' '.join(command)}" in plain_text(ran.out)
    assert "─ Options ─" in ran.out
    assert "…" not in ran.out


def test_every_error_is_described_plainly() -> None:
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, Exception):
            assert error.__doc__, name
            assert find_forbidden_words(error.__doc__, IN_HELP) == [], name
    assert find_forbidden_words(errors.__doc__ or "", IN_HELP) == []


def test_help_shows_the_defaults_of_the_library(fer: Fer) -> None:
    shown = plain_text(fer("train", "--help").out)
    config, qat = TrainConfig(data="x"), read_recipe("qat")
    assert f"Number of epochs. With --qat the default is {qat['epochs']}." in shown
    assert f"[default: {config.epochs}]" in shown
    assert f"[default: {config.lr}]" in shown
    everything = shown.replace(" ", "")
    for names in (ARCHITECTURES, list_recipes()):
        assert all(name in everything for name in names)
    shown = plain_text(fer("export", "--help").out)
    assert "|".join(FORMATS) in shown
    assert "|".join(ENGINES) in plain_text(fer("benchmark", "--help").out)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_works_in_the_base_install(command: tuple[str, ...]) -> None:
    done = run_base_install(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_imports_no_other(tmp_path: Path) -> None:
    """Nor does it import rich, unless it prints help or tables."""
    code = (
        "import sys; sys.argv = ['fer', 'infer', sys.argv[1]]\n"
        "from fer_edge.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "names = {name for name in sys.modules if name.startswith('fer_edge.commands.')}\n"
        "assert not names & {f'fer_edge.commands.{one}' for one in ('train', 'export')}, names\n"
        "assert 'fer_edge.train' not in sys.modules\n"
        "assert not {'rich', 'tomllib'} & set(sys.modules)"
    )
    Image.fromarray(draw_face(3, 0)).save(tmp_path / "face.png")
    done = run_python("-c", code, tmp_path / "face.png")
    assert (done.returncode, done.stderr) == (0, "")


def test_completion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The script for the shell, its installation, and what it then completes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    script = 'import sys; sys.argv[0] = "fer"; from fer_edge.cli import main; main()'
    # Typer else looks for a shell among the parents, and pytest may run without one
    given = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = run_python("-c", script, "--show-completion", "bash", env=given)
    assert done.returncode == 0, done.stderr
    assert "_FER_COMPLETE" in done.stdout
    complete = {
        **os.environ,
        "_FER_COMPLETE": "complete_bash",
        "COMP_WORDS": "fer in",
        "COMP_CWORD": "1",
    }
    done = run_python("-c", script, env=complete)
    assert done.stdout.split() == ["infer", "info"]


def test_ctrl_c_is_no_traceback(fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fer_edge.runtime.formats.spec_reader.read_spec", stopped)
    ran = fer("info")
    assert (ran.code, ran.out, ran.err) == (1, "", "\ninterrupted\n")


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
