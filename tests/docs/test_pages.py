"""Pages that list what the code has list exactly that."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from benchmarks.board.machine import BOARDS

import fer_edge
from fer_edge.export.formats import FORMATS
from fer_edge.runtime.formats.model_files import BUNDLED
from fer_edge.train.config import TrainConfig
from fer_edge.train.networks.architectures import ARCHITECTURES
from tests.support.files import ROOT

FOLDERS = ("src", "examples", "benchmarks")
NAMED = re.compile(r"(FER_EDGE|XDG)_[A-Z_]+")
"""Names that are read through a function, or a constant."""
IGNORED = {"PATH", "BOARD_PYTHON"}
"""The shell's, and one that the program of an emulated board gives it."""


def environment_reads(path: Path) -> Iterator[str]:
    """Names of the environment variables that a module reads."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case (
                ast.Call(
                    ast.Attribute(ast.Attribute(attr="environ"), "get" | "pop"),
                    [ast.Constant(str(name)), *_],
                )
                | ast.Call(ast.Attribute(attr="getenv"), [ast.Constant(str(name)), *_])
                | ast.Subscript(ast.Attribute(attr="environ"), ast.Constant(str(name)), ast.Load())
                | ast.Compare(ast.Constant(str(name)), _, [ast.Attribute(attr="environ")])
            ):
                yield name
            case ast.Constant(str(name)) if "src" in path.parts and NAMED.fullmatch(name):
                yield name


def test_the_page_of_environment_variables_is_complete() -> None:
    page = (ROOT / "docs" / "environment.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)`", page, re.MULTILINE)
    read = {
        name
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for name in environment_reads(path)
    }
    assert set(listed) == read - IGNORED
    assert len(listed) == len(set(listed))


def test_the_page_of_the_python_api_has_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    documented = {line.split(".")[-1] for line in re.findall(r"^::: (\S+)", page, re.MULTILINE)}
    errors = {name for name in fer_edge.__all__ if name.endswith("Error")}
    assert set(fer_edge.__all__) - errors - {"__version__"} <= documented
    assert "errors" in documented


def documented_functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """Functions and methods on the page of the Python API; a class stands for its constructor."""
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    for name in re.findall(r"^::: (\S+\.[A-Za-z]+)$", page, re.MULTILINE):
        module, _, attribute = name.rpartition(".")
        found = getattr(importlib.import_module(module), attribute)
        if inspect.ismodule(found):
            continue
        members = inspect.getmembers(found, inspect.isroutine) if inspect.isclass(found) else ()
        yield name, found
        yield from ((f"{name}.{one}", method) for one, method in members if not one.startswith("_"))


def test_arguments_are_documented_one_by_one_under_their_names() -> None:
    """The site's strict build refuses other names."""
    for name, function in documented_functions():
        text = inspect.getdoc(function) or ""
        section = re.search(r"^Args:\n((?: {4}.*\n?|\n)+)", text, re.MULTILINE)
        listed = re.findall(r"^ {4}([^ ].*?):", section[1], re.MULTILINE) if section else []
        assert set(listed) <= set(inspect.signature(function).parameters), name


def table_below(heading: str, page: str) -> dict[str, list[str]]:
    """The first table below a heading: names in backticks in the first cell and in the others."""
    text = (ROOT / "docs" / page).read_text("utf-8").split(f"\n## {heading}\n")[1]
    rows = re.findall(r"^\| (`.*)$", text.split("\n\n```")[0].split("\n## ")[0], re.MULTILINE)
    cells = [row.split(" | ", 1) for row in rows]
    return {first: re.findall(r"`([^`]+)`", rest) for first, rest in cells}


def test_settings_of_training_are_those_of_the_config() -> None:
    rows = table_below("Settings", "training.md")
    named = {name for first in rows for name in re.findall(r"`(\w+)`", first)}
    assert named <= {field.name for field in dataclasses.fields(TrainConfig)}
    assert rows["`architecture`"] == list(ARCHITECTURES)


def test_formats_of_an_export_are_those_of_the_table() -> None:
    page = (ROOT / "docs" / "parity.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `NAME.*\| (.*) \|$", page, re.MULTILINE)
    assert dict(rows) == {name: ", ".join(kind.precisions) for name, kind in FORMATS.items()}


def test_the_speeds_of_boards_follow_from_the_counted_instructions() -> None:
    page = (ROOT / "docs" / "raspberry-pi.md").read_text("utf-8")
    counts = json.loads((ROOT / "benchmarks" / "board" / "budget.json").read_text())["counts"]
    for (name, board), model in itertools.product(BOARDS.items(), BUNDLED):
        face = counts[name][model]
        cells = []
        for instructions in (face, face + counts[name]["detector, 320 x 240"]):
            slow, fast = (board.ghz * 1e9 * rate / instructions for rate in board.per_cycle)
            cells.append(f"{slow:.0f} to {fast:.0f}")
        assert f"| {board.name} | {model} | {' | '.join(cells)} |" in page


def test_limits_of_the_server_are_those_of_its_options() -> None:
    from fer_edge.commands.serve import LIMITS, app

    rows = re.findall(
        r"^\| `(--[a-z-]+)` \| ([\d.]+) \|", (ROOT / "docs/serve.md").read_text(), re.MULTILINE
    )
    command: Any = typer.main.get_command(app)
    options = [one for one in command.params if getattr(one, "rich_help_panel", "") == LIMITS]
    assert dict(rows) == {one.opts[0]: str(one.default) for one in options}
