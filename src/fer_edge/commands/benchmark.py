"""`fer benchmark`: latency, memory, size and accuracy of models on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fer_edge.atomic import check_writable
from fer_edge.commands.console import note, print_json, show
from fer_edge.commands.data_options import SkipBad, TestDataOption
from fer_edge.commands.options import (
    INPUT,
    MEASUREMENT,
    MODEL_NAMES,
    OUTPUT,
    PACKAGED,
    Json,
    argument,
    command,
    option,
    single,
    split_list,
)
from fer_edge.errors import ConfigError, requires_extra
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.runtime.formats.model_files import DEFAULT_MODEL

HeldOut = Literal["test", "val"]
"""Splits on which no model was trained."""

app = single()


@command(app, "fer benchmark", "fer benchmark a.onnx b.xml --data my_faces --plot pareto.png")
def benchmark(
    models: Annotated[
        list[str] | None,
        argument(
            f"Models in the package ({PACKAGED}) or exported files. By default {DEFAULT_MODEL}.",
            metavar=f"[{MODEL_NAMES}|FILE...]",
        ),
    ] = None,
    data: TestDataOption = None,
    split: Annotated[
        HeldOut, option(INPUT, "--split", help="Split of the data set for the accuracy.")
    ] = "test",
    skip_bad: SkipBad = False,
    backends: Annotated[
        list[str] | None,
        option(
            MEASUREMENT,
            "--backend",
            metavar="|".join(ENGINES),
            help="Inference engine. Several: with commas between them, or as repeated options. By "
            "default every installed one that reads the file.",
        ),
    ] = None,
    thread_counts: Annotated[
        str | None,
        option(
            MEASUREMENT,
            "--threads",
            metavar="N,N,...",
            help="Numbers of threads; by default 1, 2, 4, ... up to the number of cores.",
        ),
    ] = None,
    batch_sizes: Annotated[
        str, option(MEASUREMENT, "--batch", metavar="N,N,...", help="Batch sizes, in faces.")
    ] = "1,8",
    seconds: Annotated[
        float,
        option(
            MEASUREMENT,
            "--seconds",
            help="Maximum seconds per measurement; it ends early once the median is known to 2 %.",
        ),
    ] = 3.0,
    rounds: Annotated[
        int, option(MEASUREMENT, "--rounds", min=1, help="How often every measurement is repeated.")
    ] = 3,
    plot: Annotated[
        Path | None,
        option(
            OUTPUT,
            "--plot",
            help="Image (.png) for a chart of accuracy against latency; needs --data.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure latency, throughput, memory and accuracy per engine, thread count and batch size."""
    if seconds <= 0:
        raise ConfigError(f"--seconds must be above 0, not {seconds:g}")
    threads, batches = _numbers("--threads", thread_counts), _numbers("--batch", batch_sizes)
    if plot is not None:
        _check_plot(plot, data, threads, batches)
    from fer_edge.render.benchmark import benchmark_tables
    from fer_edge.runtime.diagnostics.benchmark import benchmark as measure
    from fer_edge.runtime.formats.model_files import resolve_model

    paths = [resolve_model(model) for model in models or (DEFAULT_MODEL,)]
    if data is not None:
        with requires_extra("train"):
            from fer_edge.train.evaluation.benchmark_accuracy import add_accuracy, check
        check(paths, data, split, skip_bad=skip_bad)
    found = measure(
        paths,
        backends=split_list("--backend", backends or (), tuple(ENGINES)),
        threads=threads,
        batches=batches,
        seconds=seconds,
        rounds=rounds,
        report=note,
    )
    if data is not None:
        found = add_accuracy(found, data, split, skip_bad=skip_bad, report=note)
    print_json(found.to_dict()) if as_json else show(benchmark_tables(found))
    if plot is not None:
        from fer_edge.train.evaluation.pareto import plot_pareto
        from fer_edge.train.evaluation.plots import save_figure

        save_figure(plot_pareto(found), plot)
        note(f"wrote {plot}")
    if not found.works:
        raise typer.Exit(1)


def _check_plot(
    plot: Path, data: Path | None, threads: tuple[int, ...], batches: tuple[int, ...]
) -> None:
    """Check that the plot can be drawn, before minutes of measuring.

    Raises:
        ConfigError: the plot needs figures that would not be measured, or is no .png file.
        MissingExtraError: matplotlib isn't installed.
        OSError: its folder can't be written to.
    """
    if data is None:
        raise ConfigError("--plot shows accuracy, which needs --data")
    if 1 not in batches or (threads and 1 not in threads):
        raise ConfigError("--plot shows one face with one thread: --threads and --batch lack a 1")
    if plot.is_dir() or plot.suffix.lower() != ".png":
        raise ConfigError(f"{plot}: not a file name for an image: end it in .png")
    check_writable(plot.parent)
    with requires_extra("train"):
        from fer_edge.train.evaluation import pareto  # noqa: F401 - fails here if it isn't installed


_MAX_DIGITS = 10


def _numbers(option: str, text: str | None) -> tuple[int, ...]:
    """Parse whole numbers with commas between them.

    Raises:
        ConfigError: the text is something else.
    """
    parts = [] if text is None else [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < _MAX_DIGITS and int(part) for part in parts):
        raise ConfigError(f"{option} {text!r:.60}: not whole numbers from 1, such as 1,2,4")
    return tuple(map(int, parts))
