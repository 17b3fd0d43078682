"""Tables whose texts may come from anywhere: control characters are shown as escapes."""

from __future__ import annotations

from typing import Any, TypeVar

import rich.table
from rich.text import Text

from fer_edge.text import printable

T = TypeVar("T")


class Table(rich.table.Table):
    """A rich table that escapes its headers and cells, each of which is one line, and its title."""

    def __init__(self, *headers: str, title: str | None = None, **options: Any) -> None:
        super().__init__(title=escape_lines(title), **options)
        for header in headers:
            self.add_column(header)

    def add_column(self, header: Any = "", *args: Any, **options: Any) -> None:
        """Add a column; see rich."""
        super().add_column(escape_cell(header), *args, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; see rich."""
        super().add_row(*map(escape_cell, cells), **options)


def escape_cell(cell: T) -> T:
    """Text in one line; anything else as it is."""
    if isinstance(cell, Text):
        return Text(printable(cell.plain), cell.style)  # type: ignore[return-value]
    return printable(cell) if isinstance(cell, str) else cell  # type: ignore[return-value]


def escape_lines(part: T) -> T:
    """Text in the lines that it has; anything else as it is."""
    if isinstance(part, Text):
        return Text(escape_lines(part.plain), part.style)  # type: ignore[return-value]
    if isinstance(part, str):
        return "\n".join(map(printable, part.split("\n")))  # type: ignore[return-value]
    return part
