"""`fer infer`: what a board runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fer_edge.commands.console import complain, note
from fer_edge.commands.options import (
    OUTPUT,
    VIDEO,
    DetectorOption,
    DeviceOption,
    Json,
    argument,
    command,
    option,
    single,
)
from fer_edge.commands.recognizer_options import (
    AlignOption,
    DetectScoreOption,
    DetectSideOption,
    FacesOption,
    FastestBackendOption,
    MaxPixelsOption,
    MinConfidenceOption,
    MinFaceOption,
    ModelOption,
    ThreadsOption,
    find_model,
    parse_side,
)
from fer_edge.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from fer_edge.commands.annotated_output import AnnotatedOutput

INTERRUPTED = {
    False: "interrupted",
    True: "interrupted: the results so far are complete; --resume continues",
}

app = single()


class _Skipped:
    """Sources to leave out: those that the output holds already, and the folder of annotated
    images where it lies inside a folder that is read."""

    existing_sources: frozenset[str] = frozenset()

    def __init__(self, sources: Sequence[str], save: Path | None) -> None:
        self._named = frozenset(sources)
        self._drawn = None if save is None else save.absolute()
        if self._drawn in [Path(one).absolute() for one in sources]:
            self._drawn = None

    def __contains__(self, source: object) -> bool:
        if source in self.existing_sources:
            return True
        if self._drawn is None or source in self._named:
            return False
        return self._drawn in Path(str(source)).absolute().parents


@command(
    app,
    "fer infer photo.jpg",
    "fer infer photos/ --output results.csv --save annotated/",
    "fer infer clip.mp4 --json --max-fps 5",
    "fer infer 0 --show",
)
def infer(
    sources: Annotated[
        list[str],
        argument(
            "Images, folders, glob patterns, videos, video URLs or camera numbers. A single - "
            "reads an image, or names, one per line, from standard input.",
            metavar="SOURCE...",
        ),
    ],
    faces: FacesOption = "auto",
    detector: DetectorOption = None,
    detect_side: DetectSideOption = "auto",
    detect_score: DetectScoreOption = None,
    min_face: MinFaceOption = 10,
    align: AlignOption = True,
    model: ModelOption = None,
    backend: FastestBackendOption = "auto",
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    min_confidence: MinConfidenceOption = 0.0,
    max_pixels: MaxPixelsOption = None,
    every: Annotated[int, option(VIDEO, "--every", min=1, help="Read every Nth frame.")] = 1,
    max_fps: Annotated[
        float,
        option(VIDEO, "--max-fps", min=0, help="Read at most this many frames per second; 0: all."),
    ] = 0.0,
    start: Annotated[
        float, option(VIDEO, "--start", min=0, help="Seconds to skip at the start.")
    ] = 0.0,
    duration: Annotated[
        float, option(VIDEO, "--duration", min=0, help="Seconds to read; 0: to the end.")
    ] = 0.0,
    search_every: Annotated[
        int,
        option(
            VIDEO,
            "--search-every",
            min=1,
            help="Look for faces near where they were, and in the whole of every Nth frame read. "
            "1: in the whole of each frame.",
        ),
    ] = 10,
    as_json: Json = False,
    as_csv: Annotated[bool, option(OUTPUT, "--csv", help="Print CSV, one row per face.")] = False,
    output: Annotated[
        Path | None, option(OUTPUT, "--output", "-o", help="File for the results (.jsonl or .csv).")
    ] = None,
    resume: Annotated[
        bool, option(OUTPUT, "--resume", help="Skip the sources that --output holds already.")
    ] = False,
    save: Annotated[
        Path | None, option(OUTPUT, "--save", help="Folder for annotated images and videos.")
    ] = None,
    plot: Annotated[
        Path | None,
        option(
            OUTPUT,
            "--plot",
            help="Image (.png) for a timeline of each video's expressions; it is overwritten.",
        ),
    ] = None,
    show: Annotated[
        bool, option(OUTPUT, "--show", help="Show annotated images in a window; q closes it.")
    ] = False,
) -> None:
    """Recognize the facial expressions in images, videos and camera streams."""
    from fer_edge.commands.progress import progress_bar
    from fer_edge.commands.results_file import ResultsFile, choose_kind
    from fer_edge.render.faces import summary_text
    from fer_edge.runtime.detection.nearby import Nearby
    from fer_edge.runtime.inputs.video import Cut
    from fer_edge.runtime.inputs.video_source import is_live
    from fer_edge.runtime.recognizer import Recognizer
    from fer_edge.runtime.summary import Summary

    kind = choose_kind(output, as_json=as_json, as_csv=as_csv, resume=resume)
    if resume and any(map(is_live, sources)):
        raise ConfigError("--resume: a camera or a live stream cannot be read again")
    try:
        cut = Cut(every, max_fps, start, duration)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    recognizer = Recognizer.load(
        find_model(model),
        backend=backend,
        device=device,
        threads=threads,
        faces=faces,
        detector=detector,
        detect_side=parse_side(detect_side),
        detect_score=detect_score,
        min_face=min_face,
        align=align,
        min_confidence=min_confidence,
        max_pixels=max_pixels,
    )
    nearby = Nearby(every=search_every)
    drawn: AbstractContextManager[AnnotatedOutput | None] = nullcontext()
    if save or plot or show:
        from fer_edge.commands.annotated_output import AnnotatedOutput

        drawn = AnnotatedOutput(recognizer.spec, save, plot, show=show)
    skip = _Skipped(sources, save)
    summary = Summary()
    interrupted = unplotted = False

    try:
        with (
            drawn as annotated,
            ResultsFile(output, kind, recognizer.spec, resume=resume) as written,
        ):
            skip.existing_sources = written.existing_sources
            with progress_bar(sources, skip, to_terminal=output is None) as progress:

                def report(error: SourceError) -> None:
                    complain(error)
                    summary.failed += 1
                    progress.fail()

                for result in recognizer.stream(
                    sources, cut=cut, nearby=nearby, skip=skip, on_error=report
                ):
                    written.add(result)
                    summary.add(result)
                    progress.add(result)
                    try:
                        if annotated and not annotated.add(result):
                            break
                    except SourceError as error:  # the file was removed or changed meanwhile
                        report(error)
        if annotated and annotated.is_plot_missing:
            unplotted = True
            note(f"--plot {plot}: nothing to plot, no frame of a video was read")
    except KeyboardInterrupt:
        interrupted = True
    if summary.images > 1 or output:
        print(summary_text(summary), file=sys.stderr)
    if skip.existing_sources:
        note(f"{len(skip.existing_sources):,} were already in {output}")
    if interrupted:
        print(INTERRUPTED[output is not None], file=sys.stderr)
    if interrupted or unplotted or summary.failed:
        raise typer.Exit(1)
