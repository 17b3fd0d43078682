"""`fer infer`: what a board runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from fer_edge.cli.console import complain, print_json
from fer_edge.cli.options import Backend, Json, Threads
from fer_edge.errors import ConfigError, SourceError

NOTE = (
    "no face detector is installed, so the whole picture is taken as the face: "
    "fer detector install finds faces (said once)"
)


def infer(
    sources: Annotated[
        list[str], typer.Argument(help="Pictures, folders, patterns, videos, a camera's number.")
    ],
    model: Annotated[Path | None, typer.Option(help="Exported model; bundled by default.")] = None,
    device: Annotated[
        Literal["auto", "cpu", "gpu", "npu"], typer.Option(help="auto: the CPU.")
    ] = "cpu",
    backend: Backend = "auto",
    threads: Threads = 1,
    faces: Annotated[
        Literal["auto", "whole", "detect"],
        typer.Option(help="whole: a picture is a face; auto: a small one is."),
    ] = "auto",
    detector: Annotated[
        Path | None, typer.Option(help="YuNet's file; else the one that is installed.")
    ] = None,
    detect_side: Annotated[
        int, typer.Option(min=32, help="Longer side that faces are looked for at, in pixels.")
    ] = 640,
    min_face: Annotated[int, typer.Option(min=1, help="Smallest face, in pixels.")] = 20,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Less sure faces are 'uncertain'.")
    ] = 0.0,
    every: Annotated[int, typer.Option(min=1, help="Of a video: each so-manieth frame.")] = 1,
    max_fps: Annotated[
        float, typer.Option(min=0, help="Of a video: frames a second at most; 0: all.")
    ] = 0.0,
    start: Annotated[float, typer.Option(min=0, help="Of a video: seconds to skip.")] = 0.0,
    duration: Annotated[
        float, typer.Option(min=0, help="Of a video: seconds to read; 0: to the end.")
    ] = 0.0,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One row a face.")] = False,
    save: Annotated[
        Path | None, typer.Option(help="Folder for annotated pictures and videos.")
    ] = None,
) -> None:
    """Read the expression on faces."""
    from fer_edge.render import faces as render
    from fer_edge.runtime.recognizer import Recognizer
    from fer_edge.runtime.save import Saved
    from fer_edge.runtime.video import Cut

    if as_json and as_csv:
        raise ConfigError("--json or --csv, not both")
    recognizer = Recognizer.load(
        model,
        backend=backend,
        device=device,
        threads=threads,
        faces=faces,
        detector=detector,
        detect_side=detect_side,
        min_face=min_face,
        min_confidence=min_confidence,
    )
    if save and save.exists() and not save.is_dir():
        raise ConfigError(f"--save {save}: a file, not a folder")
    try:
        cut = Cut(every, max_fps, start, duration)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    errors: list[SourceError] = []
    warned = faces == "whole" or recognizer.finds_faces

    def report(error: SourceError) -> None:
        errors.append(error)
        complain(error)

    if as_csv:
        print(render.csv_header(recognizer.spec))
    with Saved(save) as saved:
        for source in sources:
            for result in recognizer.stream(source, cut=cut, on_error=report):
                if as_json:
                    print_json(result.to_dict())
                elif text := render.result_csv(result) if as_csv else render.result_text(result):
                    print(text, flush=True)
                if not warned and not recognizer.is_small(result.width, result.height):
                    warned = True
                    print(f"{result.source}: {NOTE}", file=sys.stderr)
                if path := saved.add(result):
                    print(f"saved {path}", file=sys.stderr)
    if errors:
        raise typer.Exit(1)
