"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


def complain(error: BaseException) -> None:
    """Name an error on standard error, in one line."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr)


def print_json(document: dict[str, Any]) -> None:
    """One document, one line."""
    print(json.dumps(document, ensure_ascii=False, allow_nan=False), flush=True)


def show(parts: Iterable[RenderableType]) -> None:
    """Tables and lines for a person; text from files is shown as it is, never as markup."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 110, markup=False)
    for part in parts:
        console.print(part, highlight=False)
