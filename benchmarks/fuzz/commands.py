"""Run `fer` in this process, as often as needed without importing it again."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from benchmarks.fuzz.judge import CommandOutput
from fer_edge import cli


def run_fer(arguments: Sequence[str], stdin: Path | None = None) -> CommandOutput:
    """Run a command.

    Args:
        arguments: what follows `fer`.
        stdin: file that is standard input; None: it is empty.

    Raises:
        Exception: whatever the command calls a bug, since FER_EDGE_TRACEBACK is set.
    """
    out, err = _make_stream(), _make_stream()
    complaints: list[str] = []

    def complain(error: BaseException) -> None:
        before = err.buffer.tell()
        original(error)
        err.flush()
        complaints.append(err.buffer.getvalue()[before:].decode("utf-8", "surrogateescape"))  # type: ignore[attr-defined]

    original = cli.complain
    code = 0
    with ExitStack() as stack:
        source = stack.enter_context(Path(stdin or os.devnull).open())
        os.dup2(source.fileno(), 0)
        for name, value in {
            "argv": ["fer", *arguments],
            "stdout": out,
            "stderr": err,
            "stdin": source,
        }.items():
            stack.enter_context(patch.object(sys, name, value))
        for module in _modules_that_complain():
            stack.enter_context(patch.object(module, "complain", complain))
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return CommandOutput(code, _text(out), _text(err), tuple(complaints), _find_kind(arguments))


def _find_kind(arguments: Sequence[str]) -> Literal["text", "spec", "json", "csv"]:
    if "--json" in arguments:
        return "json"
    return "csv" if "--csv" in arguments else "spec" if arguments[:1] == ["info"] else "text"


def _make_stream() -> io.TextIOWrapper:
    # as in a terminal of today: UTF-8
    return io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    content: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return content.decode("utf-8", "surrogateescape")


def _modules_that_complain() -> list[Any]:
    names = [one for panel in cli.PANELS.values() for one in panel]
    loaded = [sys.modules.get(f"fer_edge.commands.{name}") for name in names]
    return [module for module in (cli, *loaded) if hasattr(module, "complain")]
