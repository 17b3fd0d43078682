"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


def complain(error: BaseException) -> None:
    """Print an error on standard error, in one line."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr)


def print_json(document: dict[str, Any]) -> None:
    """Print one document on one line."""
    print(json.dumps(document, ensure_ascii=False, allow_nan=False), flush=True)


def show(parts: Iterable[RenderableType]) -> None:
    """Print tables and text for people; square brackets in text are not markup."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 110, markup=False)
    for part in parts:
        console.print(part, highlight=False)


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
        print_json(json.loads(spec.to_json()))
        return
    show([spec_table(spec, str(path))])
    names = (shlex.quote(str(name)) for name in (path, data))
    print(f"next: {NEXT[is_qat].format(*names)}", file=sys.stderr)
