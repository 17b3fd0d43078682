"""Commands in the documents exist: those of `fer`, of make, and benchmarks."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from fer_edge.cli import app
from tests.support.documents import DOCUMENTS, fer_commands, name_of, shell_lines
from tests.support.files import ROOT

COMMANDS = [
    pytest.param(arguments, id=f"{name_of(path)}: {' '.join(arguments)}")
    for path in DOCUMENTS
    for arguments in fer_commands(path.read_text("utf-8"))
]
UsageError = typer.BadParameter.__base__
"""Of every complaint about the command line."""


def parse(arguments: list[str]) -> None:
    """Parse a command line without running it."""
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="fer")
    while hasattr(command, "list_commands") and arguments:
        if arguments[0].startswith("-"):  # of `fer` itself: each acts while it is parsed
            options = {name for one in command.get_params(context) for name in one.opts}
            assert arguments[0] in options
            return
        name, *arguments = arguments
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name!r}"
        context = typer.Context(command, info_name=name, parent=context)
    if arguments:
        command.make_context(command.name, [*arguments], parent=context.parent)


def test_the_documents_show_every_kind_of_command() -> None:
    shown = {one.values[0][0] for one in COMMANDS}
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="fer")
    assert set(command.list_commands(context)) <= shown


@pytest.mark.parametrize("arguments", COMMANDS)
def test_its_options_exist(arguments: list[str]) -> None:
    try:
        parse(arguments)
    except (typer.Exit, SystemExit):  # --help and --version end the program
        pass
    except UsageError as error:
        # a document names files that only its reader has, and a command without its arguments
        if not re.search(
            r"does not exist|Missing (argument|option)|requires an argument", str(error.message)
        ):
            raise


def test_an_option_that_does_not_exist_is_found() -> None:
    with pytest.raises(UsageError, match="no-such-option"):
        parse(["infer", "photos/", "--no-such-option"])


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_its_make_targets_and_benchmarks_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in shell_lines(text):
        if match := re.match(r"(?:.*\s)?make ([a-z-]+)", line):
            assert match[1] in targets | {"python"}, line
        if match := re.search(r"python -m (benchmarks[\w.]*)", line):
            assert importlib.util.find_spec(match[1]), line
        for script in re.findall(r"(?<![\w/])(?:examples|benchmarks|src)/[a-z0-9_/.-]+", line):
            assert (ROOT / script).exists(), line
