"""`fer data inspect`: what a data set holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fer_edge.commands.console import print_json, show
from fer_edge.commands.data_options import DATA, Ferplus, SkipBad
from fer_edge.commands.options import Json, argument, command, group
from fer_edge.errors import DataError, requires_extra

app = group("Inspect training data.")


@command(app, "fer data inspect my_faces", "fer data inspect fer2013.tar.gz --json")
def inspect(
    path: Annotated[Path, argument(DATA, metavar="PATH")],
    ferplus: Ferplus = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Show class counts, unreadable rows or images, and duplicates in and across splits."""
    with requires_extra("train"):
        from fer_edge.render.reports import inspection_tables
        from fer_edge.train.data.inspection import inspect_data, read_for_inspection

    data, reason = read_for_inspection(path)
    found = inspect_data(data, ferplus)
    print_json(found.to_dict()) if as_json else show(inspection_tables(found))
    if reason:
        raise DataError(reason)
    if found.bad and not skip_bad:
        raise DataError(
            f"{path}: {len(found.bad)} rows or images can't be read: repair or remove them, or "
            "leave them out with --skip-bad"
        )
