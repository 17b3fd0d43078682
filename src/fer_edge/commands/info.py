"""`fer info` and `fer detector install`."""

from __future__ import annotations

from pathlib import Path

import click

from fer_edge.commands.console import show
from fer_edge.commands.options import PATH, json_option


@click.command
@click.option("--from", "source", type=PATH, help="The file; else OpenCV Zoo's address.")
def install(source: Path | None) -> None:
    """Put the face detector (YuNet, OpenCV Zoo, 230 KB, MIT) into its place."""
    from fer_edge.runtime.detection.install import install

    print(f"installed {install(source)}")


@click.command
@click.argument("model", type=PATH, required=False)
@json_option
def info(model: Path | None, as_json: bool) -> None:
    """The spec inside a checkpoint or a model file.

    MODEL: bundled by default.
    """
    from fer_edge.render.spec import spec_table
    from fer_edge.runtime.formats.model_files import bundled
    from fer_edge.runtime.formats.spec_reader import read_spec

    path = bundled("model") if model is None else model
    spec = read_spec(path)
    print(spec.to_json()) if as_json else show([spec_table(spec, str(path))])
