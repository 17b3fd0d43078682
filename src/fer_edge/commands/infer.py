"""`fer infer`: what a board runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from fer_edge.commands.console import complain
from fer_edge.commands.options import (
    PATH,
    Backend,
    Device,
    backend_option,
    device_option,
    json_option,
)
from fer_edge.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from fer_edge.commands.annotated_output import Pictures

Faces = Literal["auto", "whole", "detect"]

NOTE = (
    "no face detector is installed, so a whole picture is taken as one face, which is wrong unless "
    "it is cropped to the face (--faces whole says so). To find faces: fer detector install"
)

INTERRUPTED = {
    False: "interrupted",
    True: "interrupted: the file is complete as far as it goes, and --resume goes on",
}


class _Skipped:
    """Sources to leave out: those that the output holds, and what is found in the folder of
    annotated pictures while another one, in which it lies, is read."""

    held: frozenset[str] = frozenset()

    def __init__(self, sources: Sequence[str], save: Path | None) -> None:
        self._named = frozenset(sources)
        self._drawn = None if save is None else save.absolute()
        if self._drawn in [Path(one).absolute() for one in sources]:
            self._drawn = None

    def __contains__(self, source: object) -> bool:
        if source in self.held:
            return True
        if self._drawn is None or source in self._named:
            return False
        return self._drawn in Path(str(source)).absolute().parents


@click.command
@click.argument("sources", nargs=-1, required=True)
@click.option("--model", type=PATH, help="Exported model; bundled by default.")
@device_option
@backend_option
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    help="Threads of the engine; 0: every core; by default what fer doctor found best, else 1.",
)
@click.option(
    "--faces",
    type=click.Choice(get_args(Faces)),
    default="auto",
    help="detect: look for faces; whole: each picture is one; auto: a small picture is one.",
)
@click.option("--detector", type=PATH, help="YuNet's file; by default the one that is installed.")
@click.option(
    "--detect-side",
    type=click.IntRange(min=32),
    default=640,
    help="Longer side that faces are looked for at, in pixels.",
)
@click.option(
    "--min-face", type=click.IntRange(min=1), default=20, help="Smallest face, in pixels."
)
@click.option("--level/--no-level", default=True, help="Turn tilted faces upright.")
@click.option(
    "--min-confidence",
    type=click.FloatRange(min=0, max=1),
    default=0.0,
    help="Say 'uncertain' where the likeliest expression has less.",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    help="Of a video: every Nth frame.",
)
@click.option(
    "--max-fps",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Of a video: frames a second at most; 0: all.",
)
@click.option(
    "--start", type=click.FloatRange(min=0), default=0.0, help="Of a video: seconds to skip."
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Of a video: seconds to read; 0: to the end.",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="One row a face.")
@click.option("-o", "--output", type=PATH, help="File (.jsonl, .csv) for the results.")
@click.option("--resume", is_flag=True, help="Leave out what --output holds already.")
@click.option("--save", type=PATH, help="Folder for annotated pictures and videos.")
@click.option(
    "--plot", type=PATH, help="Picture (.png) of a video's expressions over time; written over."
)
@click.option("--show", is_flag=True, help="Show annotated pictures in a window; q ends it.")
def infer(
    sources: tuple[str, ...],
    model: Path | None,
    device: Device,
    backend: Backend,
    threads: int | None,
    faces: Faces,
    detector: Path | None,
    detect_side: int,
    min_face: int,
    level: bool,
    min_confidence: float,
    every: int,
    max_fps: float,
    start: float,
    duration: float,
    as_json: bool,
    as_csv: bool,
    output: Path | None,
    resume: bool,
    save: Path | None,
    plot: Path | None,
    show: bool,
) -> None:
    """Read the expression on faces.

    SOURCES: pictures, folders, patterns, videos, a camera's number; -: a list, line by line.
    """
    from fer_edge.commands.progress import bar
    from fer_edge.commands.results_file import Output, kind_of
    from fer_edge.render.faces import summary_text
    from fer_edge.runtime.inputs.video import Cut, is_live
    from fer_edge.runtime.recognizer import Recognizer
    from fer_edge.runtime.summary import Summary

    kind = kind_of(output, as_json=as_json, as_csv=as_csv, resume=resume)
    if resume and any(map(is_live, sources)):
        raise ConfigError("--resume: what a camera or a live stream showed can't be seen again")
    try:
        cut = Cut(every, max_fps, start, duration)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    recognizer = Recognizer.load(
        model,
        backend=backend,
        device=device,
        threads=threads,
        faces=faces,
        detector=detector,
        detect_side=detect_side,
        min_face=min_face,
        align=level,
        min_confidence=min_confidence,
    )
    drawn: AbstractContextManager[Pictures | None] = nullcontext()
    if save or plot or show:
        from fer_edge.commands.annotated_output import Pictures

        drawn = Pictures(recognizer.spec, save, plot, show=show)
    skip = _Skipped(sources, save)
    summary = Summary()
    interrupted = unplotted = False
    warned = faces == "whole" or recognizer.has_detector

    try:
        with (
            drawn as pictures,
            Output(output, kind, recognizer.spec, resume=resume) as written,
        ):
            skip.held = written.held
            with bar(sources, skip, beside_results=output is None) as progress:

                def report(error: SourceError) -> None:
                    complain(error)
                    summary.failed += 1
                    progress.fail()

                for result in recognizer.stream(sources, cut=cut, skip=skip, on_error=report):
                    written.add(result)
                    summary.add(result)
                    progress.add(result)
                    if not warned and not recognizer.is_small(result.width, result.height):
                        warned = True
                        print(f"{result.source}: {NOTE}", file=sys.stderr)
                    try:
                        if pictures and not pictures.add(result):
                            break
                    except SourceError as error:  # it was removed, or has changed, since
                        report(error)
        if pictures and pictures.unplotted:
            unplotted = True
            print(f"--plot {plot}: nothing to plot, no frame of a video was read", file=sys.stderr)
    except KeyboardInterrupt:
        interrupted = True
    if summary.images > 1 or output:
        print(summary_text(summary), file=sys.stderr)
    if skip.held:
        print(f"{len(skip.held):,} were in {output} already", file=sys.stderr)
    if interrupted:
        print(INTERRUPTED[output is not None], file=sys.stderr)
    if interrupted or unplotted or summary.failed:
        sys.exit(1)
