"""`fer info` and `fer detector install`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_edge.cli.console import show
from fer_edge.cli.options import Json


def install(
    source: Annotated[
        Path | None, typer.Option("--from", help="The file; else OpenCV Zoo's address.")
    ] = None,
) -> None:
    """Put the face detector (YuNet, OpenCV Zoo, 230 KB, MIT) into its place."""
    from fer_edge.runtime.detector_file import install

    print(f"installed {install(source)}")


def info(
    model: Annotated[Path | None, typer.Argument(help="Bundled by default.")] = None,
    as_json: Json = False,
) -> None:
    """The spec inside a checkpoint or a model file."""
    from fer_edge.render.contract import spec_table
    from fer_edge.runtime.bundled import bundled
    from fer_edge.runtime.specfile import read_spec

    path = bundled("model") if model is None else model
    spec = read_spec(path)
    print(spec.to_json()) if as_json else show([spec_table(spec, str(path))])
