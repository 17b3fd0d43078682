"""Every command with options of wild values; none is given what it could work on for long."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

import lightning  # noqa: F401 - imported before the worker is forked
import matplotlib as mpl
import onnxruntime  # noqa: F401
import typer

from benchmarks.fuzz.commands import run_fer
from benchmarks.fuzz.judge import CommandOutput
from benchmarks.fuzz.seeds.images import make_image
from benchmarks.fuzz.seeds.names import make_name
from fer_edge import cli

mpl.use("agg")
_VALUES = (
    "", " ", "0", "-1", "1", "2", "0.5", "1e400", "nan", "-inf", "9" * 30, "9" * 5000, "1_000",
    "0x10", "١", "½", "auto", "true", "None", "a\nb", "\x1b[31m", "../x", "/dev/null",
    "/proc/self/mem", "-", "--", "*", "a" * 5000, "\udcff", "a,b,,c", "1:2", "none://x",
    "file.onnx", "file.safetensors", "file.xml", ".",
)  # fmt: skip
_HEAVY = frozenset(("export", "parity", "evaluate"))
"""Commands that are always given a path."""
_SLOW = frozenset(("doctor", "benchmark", "detector", "serve"))
"""Commands that measure, download or wait: only with `--help` or a path that is no model."""


class Target:
    """Command lines made of the options that the commands declare."""

    def __init__(self, folder: Path) -> None:
        os.environ.pop("FER_EDGE_DETECTOR", None)  # a case must not depend on it
        self._image = folder / "face.png"
        make_image("L").save(self._image)
        root: Any = typer.main.get_command(cli.app)
        self._commands = list(_find_commands(root, ()))

    def write(self, random: Random, folder: Path) -> list[str]:
        """A command line, and a few files that it may name."""
        for name in ("file.onnx", "file.safetensors", "file.xml"):
            (folder / name).write_bytes(b"damaged")
        words, command = random.choice(self._commands)
        line = list(words)
        if random.random() < 0.03:
            line[random.randrange(len(line))] = random.choice(_VALUES)
        if words[0] in _SLOW:
            line += [random.choice(("--help", "--nothing", str(folder / "missing.onnx")))]
            # without a model, these would begin to measure
            return line if words[0] in ("doctor", "benchmark") else [*words, "--help"]
        options = [one for one in command.params if one.param_type_name == "option"]
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        for option in random.sample(options, min(len(options), random.choice((0, 1, 1, 2, 4)))):
            name = random.choice([*option.opts, *option.secondary_opts])
            if name in ("--show", "--help"):
                continue
            line.append(name)
            if not option.is_flag:
                line.append(self._make_value(random, folder, option))
        for _ in arguments:
            # without a checkpoint, base would be exported or compared
            if random.random() < 0.8 or words[0] in _HEAVY:
                line.append(self._make_argument(random, folder))
        return line

    def run(self, case: list[str]) -> CommandOutput:
        """Run it."""
        return run_fer(case)

    def _make_value(self, random: Random, folder: Path, option: Any) -> str:
        choices = list(getattr(option.type, "choices", ()))
        if choices and random.random() < 0.5:
            return str(random.choice(choices))
        value = random.choice((*_VALUES, make_name(random)))
        if value.startswith("file."):
            return str(folder / value)
        # what is written must not lie around
        is_path = "ath" in type(option.type).__name__ or "output" in option.name
        return str(folder / value.replace("/", "")) if is_path and "\0" not in value else value

    def _make_argument(self, random: Random, folder: Path) -> str:
        if random.random() < 0.4:
            return str(self._image)
        value = random.choice((*_VALUES, make_name(random)))
        # a lone number is a camera
        return str(folder / value) if value.startswith(("file.", ".", "*", "-")) else value


def _find_commands(command: Any, words: tuple[str, ...]) -> Any:
    names = command.list_commands(None) if hasattr(command, "list_commands") else ()
    if not names:
        yield words, command
    for name in names:
        found = command.get_command(None, name)
        if found is not None:
            yield from _find_commands(found, (*words, name))
