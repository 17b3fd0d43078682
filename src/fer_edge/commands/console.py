"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_edge.errors import MAX_LENGTH, FerEdgeError
from fer_edge.text import format_json, one_line, printable

if TYPE_CHECKING:
    from rich.console import RenderableType


def complain(error: BaseException) -> None:
    """Print an error on standard error, in one line."""
    text = str(error) if isinstance(error, FerEdgeError) else one_line(error, MAX_LENGTH)
    print(f"{type(error).__name__}: {text}", file=sys.stderr)


def note(text: str) -> None:
    """Print one line on standard error; control characters are shown as escapes."""
    print(printable(text), file=sys.stderr, flush=True)


def print_json(document: dict[str, Any]) -> None:
    """Print one document on one line."""
    print(format_json(document), flush=True)


def show(parts: Iterable[RenderableType]) -> None:
    """Print tables and text for people; brackets and colons in text are not markup or emoji."""
    from rich.console import Console

    from fer_edge.render.table import escape_lines

    console = Console(
        width=None if sys.stdout.isatty() else 110, markup=False, emoji=False, highlight=False
    )
    for part in parts:
        console.print(escape_lines(part))


NEXT = {
    False: "fer evaluate {0} --data {1} ; fer export {0} --data {1}",
    True: "fer export {0} --precision int8 --data {1}",
}
"""What to run after training: of a float checkpoint, and of one with a QAT model."""


def show_checkpoint(
    path: Path, data: Path | str, *, is_qat: bool = False, as_json: bool = False
) -> None:
    """Print a new checkpoint's spec, and the commands that come next."""
    from fer_edge.render.spec import spec_table
    from fer_edge.runtime.formats.spec_reader import read_spec

    spec = read_spec(path)
    if as_json:
        print_json(spec.to_dict())
        return
    show([spec_table(spec, str(path))])
    names = (shlex.quote(str(name)) for name in (path, data))
    note(f"next: {NEXT[is_qat].format(*names)}")
