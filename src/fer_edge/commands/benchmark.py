"""`fer benchmark`: what models cost on this board, and what they are worth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, get_args

import click

from fer_edge.commands.console import print_json, show
from fer_edge.commands.options import PATH, Backend, data_option, json_option, skip_bad_option
from fer_edge.errors import ConfigError, requires_extra

Held = Literal["test", "val"]
"""Splits that a model wasn't trained on."""


def _numbers(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Whole numbers from 1 on, with commas between them."""
    parts = [] if value is None else [part.strip() for part in value.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise click.BadParameter(f"{value!r} isn't whole numbers from 1 on, as 1,2,4", ctx, param)
    return tuple(map(int, parts)) or None


@click.command
@click.argument("models", type=PATH, nargs=-1, metavar="[MODEL]...")
@click.option(
    "--backend",
    "backends",
    type=click.Choice([name for name in get_args(Backend) if name != "auto"]),
    multiple=True,
    help="Engine; may be repeated. Else all that are installed and read the file.",
)
@click.option(
    "--threads",
    callback=_numbers,
    metavar="N,N,...",
    help="Else 1, 2, 4, ... up to the number of cores.",
)
@click.option(
    "--batch",
    "batches",
    callback=_numbers,
    default="1,8",
    metavar="N,N,...",
    help="Faces of one call.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=3.0,
    help="At most, for each measurement; it ends when the median is known to 2 %.",
)
@click.option("--rounds", type=click.IntRange(1), default=3, help="Of all measurements.")
@data_option
@click.option("--split", type=click.Choice(get_args(Held)), default="test", help="Of --data.")
@skip_bad_option
@click.option("--plot", type=PATH, help="Picture of accuracy against time; needs --data.")
@json_option
def benchmark(
    models: tuple[Path, ...],
    backends: tuple[str, ...],
    threads: tuple[int, ...] | None,
    batches: tuple[int, ...],
    seconds: float,
    rounds: int,
    data: Path | None,
    split: Held,
    skip_bad: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Time, memory, size and accuracy of models, for each engine, number of threads and batch.

    MODEL: an exported model; bundled by default.
    """
    if plot is not None:
        _can_plot(plot, data, threads, batches)
    from fer_edge.render.benchmark import benchmark_tables
    from fer_edge.runtime.diagnostics.benchmark import benchmark as measure
    from fer_edge.runtime.formats.model_files import bundled

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    paths = models or (bundled("model"),)
    if data is not None:
        with requires_extra("train"):
            from fer_edge.train.evaluation.benchmark_accuracy import check, with_accuracy
        check(paths, data, split, skip_bad=skip_bad)
    found = measure(
        paths,
        backends=backends,
        threads=threads or (),
        batches=batches,
        seconds=seconds,
        rounds=rounds,
        tell=tell,
    )
    if data is not None:
        found = with_accuracy(found, data, split, skip_bad=skip_bad, tell=tell)
    print_json(found.to_dict()) if as_json else show(benchmark_tables(found))
    if plot is not None:
        from fer_edge.train.evaluation.pareto import plot_pareto
        from fer_edge.train.evaluation.plots import save_figure

        save_figure(plot_pareto(found), plot)
        print(f"wrote {plot}", file=sys.stderr)
    if not found.works:
        sys.exit(1)


def _can_plot(
    plot: Path, data: Path | None, threads: tuple[int, ...] | None, batches: tuple[int, ...]
) -> None:
    """See that a plot can be drawn, before minutes go into measuring.

    Raises:
        ConfigError: what it shows wouldn't be measured, or it isn't a picture's name.
        MissingExtraError: matplotlib isn't installed.
    """
    if data is None:
        raise ConfigError("--plot shows accuracy, which needs --data")
    if 1 not in batches or (threads is not None and 1 not in threads):
        raise ConfigError("--plot shows one face with one thread: --threads and --batch lack a 1")
    if plot.is_dir() or plot.suffix.lower() != ".png":
        raise ConfigError(f"{plot}: not a picture's name that can be written: end it in .png")
    with requires_extra("train"):
        from fer_edge.train.evaluation import pareto  # noqa: F401 - missing, it is said first
