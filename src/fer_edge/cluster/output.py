"""What a run has written: part files of results and of errors, which a later run completes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from fer_edge.cluster.storage import Folder
from fer_edge.cluster.tables import ERRORS, FORMATS, Rows
from fer_edge.errors import ConfigError

PART = re.compile(r"part-\d{7}(-\d+)?\.\w+")


@dataclass(frozen=True)
class Output:
    """A folder with `results/part-NUMBER` and, for sources that can't be read, `errors/` alike.

    The errors of a part are written before its results, so that a part is finished where its
    results are.

    Attributes:
        address: of the folder; a path, or an address of object storage.
        format: a name of `FORMATS`.
        schema: of the results.
    """

    address: str
    format: str
    schema: pa.Schema

    @cached_property
    def _results(self) -> Folder:
        return Folder(f"{self.address.rstrip('/')}/results")

    @cached_property
    def _errors(self) -> Folder:
        return Folder(f"{self.address.rstrip('/')}/errors")

    def write(self, name: str, rows: Rows, errors: Rows) -> None:
        """Write one part; a part of that name is replaced.

        Raises:
            OSError: it can't be written.
        """
        encode = FORMATS[self.format].encode
        if errors:
            self._errors.write(name, encode(errors, ERRORS))
        self._results.write(name, encode(rows, self.schema))

    def part_names(self) -> frozenset[str]:
        """The names of the finished parts.

        Raises:
            ConfigError: there are other files among them.
        """
        names = self._results.list_names()
        if other := [name for name in names if not name.endswith(f".{self.format}")]:
            raise ConfigError(
                f"{self._results.address}: {other[0]} isn't a .{self.format} file: choose another "
                "--output or --format"
            )
        return frozenset(names)

    def read_sources(self) -> frozenset[str]:
        """The sources in the finished parts. Errors of unfinished parts are removed.

        Raises:
            ConfigError: a file isn't a part of a model with these labels.
        """
        finished = self.part_names()
        read = FORMATS[self.format].read_sources
        sources: set[str] = set()
        for name in self._errors.list_names():
            if PART.fullmatch(name) and name not in finished:
                self._errors.remove(name)
        for folder, schema in ((self._results, self.schema), (self._errors, ERRORS)):
            for name in folder.list_names():
                try:
                    with folder.open(name) as file:
                        sources.update(read(file, schema))
                except ValueError as error:
                    raise ConfigError(
                        f"{folder.address}/{name} cannot be resumed: {error}; nothing was changed: "
                        "choose another --output"
                    ) from None
        return frozenset(sources)

    def new_name(self, number: int, taken: frozenset[str]) -> str:
        """The name of a part; where it is taken, since the sources are others than before, the
        next one that is not."""
        name, turn = f"part-{number:07}.{self.format}", 0
        while name in taken:
            turn += 1
            name = f"part-{number:07}-{turn}.{self.format}"
        return name
