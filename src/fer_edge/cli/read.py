"""`fer infer` and `fer info`: what a board runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from fer_edge.cli.console import complain, print_json, show
from fer_edge.cli.options import Backend, Json, Threads
from fer_edge.errors import ConfigError, SourceError

WIDE = 8
NOTE = "the whole picture is taken as the face; crop it to the face first (said once)"


def infer(
    sources: Annotated[list[str], typer.Argument(help="Pictures, folders, patterns.")],
    model: Annotated[Path | None, typer.Option(help="Exported model; bundled by default.")] = None,
    device: Annotated[str, typer.Option(help="cpu, gpu, npu; auto: cpu.")] = "cpu",
    backend: Backend = "auto",
    threads: Threads = 1,
    faces: Annotated[  # noqa: ARG001 - one way so far, named so that scripts keep working
        Literal["whole"], typer.Option(help="whole: a picture is a face.")
    ] = "whole",
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One row a face.")] = False,
    save: Annotated[Path | None, typer.Option(help="Folder for annotated pictures.")] = None,
) -> None:
    """Read the expression on faces."""
    from fer_edge import render
    from fer_edge.runtime.recognizer import Recognizer

    if as_json and as_csv:
        raise ConfigError("--json or --csv, not both")
    recognizer = Recognizer.load(model, backend=backend, device=device, threads=threads)
    if save and save.exists() and not save.is_dir():
        raise ConfigError(f"--save {save}: a file, not a folder")
    errors: list[SourceError] = []
    large = WIDE * recognizer.spec.input.side
    warned = False

    def report(error: SourceError) -> None:
        errors.append(error)
        complain(error)

    if as_csv:
        print(render.csv_header(recognizer.spec))
    for source in sources:
        for result in recognizer.stream(source, on_error=report):
            if as_json:
                print_json(result.to_dict())
            elif text := render.result_csv(result) if as_csv else render.result_text(result):
                print(text, flush=True)
            if not warned and max(result.width, result.height) > large:
                warned = True
                print(f"{result.source}: {NOTE}", file=sys.stderr)
            if save:
                name = Path(result.source).stem
                print(f"saved {result.save(_unused(save / f'{name}.png'))}", file=sys.stderr)
    if errors:
        raise typer.Exit(1)


def info(
    model: Annotated[Path | None, typer.Argument(help="Bundled by default.")] = None,
    as_json: Json = False,
) -> None:
    """The spec inside a checkpoint or a model file."""
    from fer_edge import render
    from fer_edge.runtime.bundled import bundled
    from fer_edge.runtime.specfile import read_spec

    path = bundled("model") if model is None else model
    spec = read_spec(path)
    print(spec.to_json()) if as_json else show([render.spec_table(spec, str(path))])


def _unused(path: Path) -> Path:
    """The path, or the first numbered one beside it that no file has."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
