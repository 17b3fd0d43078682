"""`fer cluster`: many images on the machines of a Ray cluster."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from fer_edge.commands.console import complain, note, print_json
from fer_edge.commands.options import (
    INPUT,
    OUTPUT,
    DetectorOption,
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
    find_model,
    parse_side,
)
from fer_edge.errors import requires_extra
from fer_edge.text import format_count

CLUSTER = "Cluster"
"""Panel of the help."""

app = single()


@command(
    app,
    "fer cluster photos/ --output results",
    "fer cluster 's3://bucket/photos' --output s3://bucket/results --address auto",
    "fer cluster 'images/*.parquet' --output results --format csv --resume",
)
def cluster(
    sources: Annotated[
        list[str],
        argument(
            "Images, folders, glob patterns, Parquet files of paths or images, addresses of "
            "object storage.",
            metavar="SOURCE...",
        ),
    ],
    output: Annotated[
        str,
        option(
            OUTPUT,
            "--output",
            "-o",
            help="Folder, or address of object storage, for the tables results/ and errors/.",
        ),
    ],
    address: Annotated[
        str | None,
        option(
            CLUSTER,
            "--address",
            help="Address of a Ray cluster; auto: the one that this machine belongs to. By default "
            "this machine alone.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        option(
            CLUSTER,
            "--workers",
            min=1,
            help="Processes, of one CPU each; by default as many as there are CPUs.",
        ),
    ] = None,
    part_size: Annotated[
        int,
        option(
            CLUSTER,
            "--part-size",
            min=1,
            help="Images that a worker reads at once, and writes as one file.",
        ),
    ] = 256,
    column: Annotated[
        str | None,
        option(
            INPUT,
            "--column",
            help="Column of Parquet files with the images. By default the only one with bytes, "
            "else path or source.",
        ),
    ] = None,
    format: Annotated[
        Literal["parquet", "csv"], option(OUTPUT, "--format", help="Format of the tables.")
    ] = "parquet",
    resume: Annotated[
        bool, option(OUTPUT, "--resume", help="Skip the images that --output holds already.")
    ] = False,
    faces: FacesOption = "auto",
    detector: DetectorOption = None,
    detect_side: DetectSideOption = "auto",
    detect_score: DetectScoreOption = None,
    min_face: MinFaceOption = 10,
    align: AlignOption = True,
    model: ModelOption = None,
    backend: FastestBackendOption = "auto",
    min_confidence: MinConfidenceOption = 0.0,
    max_pixels: MaxPixelsOption = None,
    as_json: Json = False,
) -> None:
    """Recognize the facial expressions in many images, on many processes or machines.

    The tables hold the rows of fer infer --csv. Each worker writes the parts that it has read, so
    a run that was interrupted is completed by --resume.
    """
    if address is None and "RAY_AUTH_MODE" not in os.environ:
        # Ray listens on every network, and whoever may talk to it can run programs. It reads this
        # when it is imported: https://docs.ray.io/en/latest/ray-security/token-auth.html
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with requires_extra("ray"):
        from fer_edge.cluster import Totals, infer
    from fer_edge.commands.progress import rate_bar

    find_model(model)
    with _explain_interruption(), _silence_core(), rate_bar() as progress:
        task = progress.add_task("", total=None, unit="images") if progress else None

        def show_part(totals: Totals) -> None:
            if progress and task is not None:
                done = totals.images + totals.failed
                progress.update(task, total=totals.pending, completed=done)

        totals = infer(
            sources,
            output,
            format=format,
            column=column,
            workers=workers,
            part_size=part_size,
            resume=resume,
            address=address,
            on_part=show_part,
            on_error=complain,
            model=model,
            backend=backend,
            faces=faces,
            detector=detector,
            detect_side=parse_side(detect_side),
            detect_score=detect_score,
            min_face=min_face,
            align=align,
            min_confidence=min_confidence,
            max_pixels=max_pixels,
        )
    if as_json:
        print_json(asdict(totals))
    rate = totals.images / max(totals.seconds, 1e-9)
    print(
        f"{format_count(totals.images, 'image')} in {totals.seconds:.1f} s, {rate:.1f} images/s; "
        f"{format_count(totals.faces, 'face')}",
        file=sys.stderr,
    )
    if totals.failed:
        note(f"{totals.failed:,} could not be listed or read: {output}/errors names those in parts")
    if totals.skipped:
        note(f"{totals.skipped:,} were already in {output}")
    if totals.failed:
        raise typer.Exit(1)


@contextmanager
def _explain_interruption() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted: finished parts are kept; --resume continues", file=sys.stderr)
        raise typer.Exit(1) from None


@contextmanager
def _silence_core() -> Iterator[None]:
    """Keep what Ray's core prints from standard error, which Python goes on writing to.

    Its log files have it as well: https://github.com/ray-project/ray/issues/57733 is one that a
    user can do nothing about.
    """
    shown, own_stderr = sys.stderr, sys.__stderr__
    if own_stderr is None or shown is not own_stderr:  # a test has replaced it
        yield
        return
    descriptor = own_stderr.fileno()
    own = os.dup(descriptor)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), descriptor)
    try:
        with os.fdopen(own, "w", 1, errors="backslashreplace", closefd=False) as sys.stderr:
            yield
    finally:
        sys.stderr = shown
        os.dup2(own, descriptor)
        os.close(own)
