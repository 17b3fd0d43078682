"""The command `fer`: parse, import late, call, print.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 a named
failure, 2 wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fer_edge import __version__
from fer_edge.errors import ConfigError, FerEdgeError, MissingExtraError, SourceError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fer_edge.export.parity import Parity

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Read facial expressions on small boards, with the same answer as PyTorch.",
)
data_app = typer.Typer(no_args_is_help=True, help="Look at training data.")
app.add_typer(data_app, name="data")

DATA = "FER2013 file (.csv, .csv.gz, .tar.gz, .zip) or a folder of class folders."
Json = Annotated[bool, typer.Option("--json", help="One JSON document a line.")]
Threads = Annotated[int, typer.Option(min=0, help="For one call; 0 takes every core.")]
Data = Annotated[Path, typer.Option("--data", help=DATA)]
OptionalData = Annotated[Path | None, typer.Option("--data", help=DATA)]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave wrong rows and pictures out.")]
SplitName = Annotated[Literal["train", "val", "test"], typer.Option(help="Which faces.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def infer(
    sources: Annotated[list[str], typer.Argument(help="Pictures, folders, patterns.")],
    model: Annotated[Path | None, typer.Option(help="Exported model; bundled by default.")] = None,
    device: Annotated[str, typer.Option(help="cpu or auto.")] = "cpu",
    backend: Annotated[str, typer.Option(help="auto, onnxruntime or openvino.")] = "auto",
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
    errors: list[SourceError] = []

    def report(error: SourceError) -> None:
        errors.append(error)
        _complain(error)

    if as_csv:
        print(render.csv_header(recognizer.spec))
    for source in sources:
        for result in recognizer.stream(source, on_error=report):
            if as_json:
                _print_json(result.to_dict())
            elif text := render.result_csv(result) if as_csv else render.result_text(result):
                print(text, flush=True)
            if save:
                name = Path(result.source).stem
                print(f"saved {result.save(_unused(save / f'{name}.png'))}", file=sys.stderr)
    if errors:
        raise typer.Exit(1)


@app.command()
def export(
    checkpoint: Annotated[Path | None, typer.Argument(help="Bundled by default.")] = None,
    format: Annotated[Literal["onnx"], typer.Option(help="Of the file.")] = "onnx",
    precision: Annotated[Literal["fp32"], typer.Option(help="Of the arithmetic.")] = "fp32",
    data: OptionalData = None,
    split: SplitName = "test",
    output: Annotated[Path | None, typer.Option(help="File or folder; here by default.")] = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Write a model file from a checkpoint, once it is proved to answer as PyTorch does."""
    with _needs("export"):
        from fer_edge import render
        from fer_edge.export.convert import export_onnx
        from fer_edge.runtime.bundled import bundled
        from fer_edge.runtime.specfile import read_spec
        from fer_edge.train.datasets import read_data
        from fer_edge.train.evaluate import CHECKPOINT

    source = bundled("checkpoint") if checkpoint is None else checkpoint
    if source.suffix != CHECKPOINT:
        raise ConfigError(f"{source}: only a checkpoint is exported, a {CHECKPOINT}")
    name = f"{read_spec(source).name}-{precision}.{format}"
    path = Path(name) if output is None else output
    if path.is_dir():
        path /= name
    if path.suffix != f".{format}":
        raise ConfigError(f"{path}: an {format} file ends in .{format}, and this isn't a folder")
    faces = (
        None
        if data is None
        else read_data(data, side=read_spec(source).input.side, skip_bad=skip_bad)
    )
    done = export_onnx(source, path, faces, split)
    if as_json:
        _print_json(done.to_dict())
        return
    for parity in done.parities:
        print(render.parity_text(parity))
    print(f"wrote {done.path} ({done.path.stat().st_size / 1e6:.1f} MB) and {done.report}")
    if faces is None:
        print(
            "only golden samples were compared: --data compares a whole test split", file=sys.stderr
        )


@app.command()
def parity(
    checkpoint: Annotated[Path, typer.Argument(help="The .safetensors file.")],
    model: Annotated[Path, typer.Argument(help="The exported file.")],
    data: OptionalData = None,
    split: SplitName = "test",
    backend: Annotated[str, typer.Option(help="auto, onnxruntime or openvino.")] = "auto",
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Compare an exported file with its checkpoint, face by face."""
    with _needs("export"):
        from fer_edge import render
        from fer_edge.export.golden import draw_faces
        from fer_edge.export.parity import compare
        from fer_edge.train.datasets import read_data
        from fer_edge.train.evaluate import CHECKPOINT, matched, open_model

        if checkpoint.suffix != CHECKPOINT:
            raise ConfigError(f"{checkpoint}: the first file is the checkpoint, a {CHECKPOINT}")
        ours, theirs = open_model(checkpoint), open_model(model, backend=backend)
    side = ours.spec.input.side
    parities: list[Parity] = [compare(ours, theirs, draw_faces(side), "golden")]
    if data is not None:
        read = read_data(data, side=side, skip_bad=skip_bad)
        faces = matched(read, read.split(split), ours.spec, ours.name)
        parities.append(compare(ours, theirs, faces.pixels, split, faces.labels))
    for one in parities:
        _print_json(one.to_dict()) if as_json else print(render.parity_text(one))
    if not all(one.passed for one in parities):
        raise typer.Exit(1)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Checkpoint or exported file.")],
    data: Data,
    split: SplitName = "test",
    output: Annotated[Path | None, typer.Option(help="Folder; MODEL-evaluation here.")] = None,
    backend: Annotated[str, typer.Option(help="auto, onnxruntime or openvino.")] = "auto",
    without_duplicates: Annotated[
        bool, typer.Option(help="Leave out faces that train holds a near copy of.")
    ] = False,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Accuracy, per-class figures, confusion and calibration, with pictures."""
    with _needs("train"):
        from fer_edge import render
        from fer_edge.train import duplicates, plots  # noqa: F401 - missing, it is said first
        from fer_edge.train.datasets import read_data
        from fer_edge.train.evaluate import evaluate, matched, open_model, write_report

        opened = open_model(model, backend=backend)
    read = read_data(data, side=opened.spec.input.side, skip_bad=skip_bad)
    faces = matched(read, read.split(split), opened.spec, opened.name)
    if without_duplicates:
        if split == "train":
            raise ConfigError(
                "--without-duplicates leaves out copies of train: --split val or test"
            )
        faces = faces.take(~duplicates.near(faces, read.split("train")))
    left_out = len(read.split(split)) - len(faces)
    report = evaluate(opened, faces, split, left_out)
    files = write_report(report, faces, output or Path(f"{model.name}-evaluation"))
    _print_json(report.to_dict()) if as_json else _show(render.report_tables(report))
    print("wrote " + ", ".join(map(str, files)), file=sys.stderr)


@app.command()
def train(
    data: OptionalData = None,
    output: Annotated[Path, typer.Option(help="The run's folder.")] = Path("run"),
    arch: Annotated[str | None, typer.Option(help="mobilenet_v2 by default.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="bundled (default), imagenet (torchvision downloads), none, or a file."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=2)] = None,
    lr: Annotated[float | None, typer.Option(help="Highest rate, of the head.")] = None,
    backbone_lr: Annotated[float | None, typer.Option(help="Times lr.")] = None,
    schedule: Annotated[Literal["onecycle", "cosine"] | None, typer.Option()] = None,
    freeze_epochs: Annotated[int | None, typer.Option(min=0)] = None,
    label_smoothing: Annotated[float | None, typer.Option()] = None,
    class_balance: Annotated[float | None, typer.Option(help="0 faces alike, 1 classes.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of the averaged weights; 0 off.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without gain; 0 never.")] = None,
    side: Annotated[int | None, typer.Option(help="Of the faces, the graph's input.")] = None,
    network_side: Annotated[int | None, typer.Option(help="That the graph resizes to.")] = None,
    mean: Annotated[float | None, typer.Option(help="Of pixel / 255.")] = None,
    std: Annotated[float | None, typer.Option(help="Of pixel / 255.")] = None,
    storage: Annotated[Literal["fp16", "fp32"] | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    skip_bad: Annotated[bool | None, typer.Option("--skip-bad")] = None,
    resume: Annotated[bool, typer.Option(help="Go on after the last finished epoch.")] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune a network; the run's folder gets model.safetensors."""
    given: dict[str, Any] = {k: v for k, v in locals().items() if v is not None}
    for name in ("output", "resume", "as_json"):
        del given[name]
    if "arch" in given:
        given["architecture"] = given.pop("arch")
    if data is not None:
        given["data"] = str(data.resolve())
    if "." in given.get("weights", ""):
        given["weights"] = str(Path(given["weights"]).resolve())
    with _needs("train"):
        from fer_edge import render
        from fer_edge.runtime.specfile import read_spec
        from fer_edge.train.config import settings
        from fer_edge.train.fit import fit

    try:
        path = fit(settings(given, output, resume=resume), output, resume=resume)
    except (KeyboardInterrupt, SystemExit):
        print(f"interrupted: fer train --output {output} --resume goes on", file=sys.stderr)
        raise typer.Exit(1) from None
    spec = read_spec(path)
    if as_json:
        _print_json(json.loads(spec.to_json()))
    else:
        _show([render.spec_table(spec, str(path))])
        print(
            f"next: fer evaluate {path} --data ... ; fer export {path} --data ...", file=sys.stderr
        )


@app.command()
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
    print(spec.to_json()) if as_json else _show([render.spec_table(spec, str(path))])


@data_app.command("inspect")
def inspect(
    path: Annotated[Path, typer.Argument(help=DATA)],
    ferplus: Annotated[Path | None, typer.Option(help="FER+ votes (fer2013new.csv).")] = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Splits, class counts, bad rows, duplicates across splits."""
    with _needs("train"):
        from fer_edge.train.datasets import read_data
        from fer_edge.train.inspection import inspect, tables

    found = inspect(read_data(path, skip_bad=skip_bad), ferplus)
    _print_json(found.to_dict()) if as_json else _show(tables(found))


def main() -> None:
    """Run the command; failures end in one line on standard error, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # a file's name may hold what the terminal's encoding can't
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # said as a SourceError by the one who opens the picture
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    try:
        app()
    except ConfigError as error:
        _complain(error)
        sys.exit(2)
    except FerEdgeError as error:
        _complain(error)
        sys.exit(1)
    except BrokenPipeError:
        # the reader left; what is still buffered mustn't complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _complain(error)
        sys.exit(1)


def _complain(error: Exception) -> None:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, ensure_ascii=False, allow_nan=False), flush=True)


def _show(parts: Iterable[RenderableType]) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 110, markup=False)
    for part in parts:
        console.print(part, highlight=False)


def _unused(path: Path) -> Path:
    """The path, or the first numbered one beside it that no file has."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


@contextmanager
def _needs(extra: str) -> Iterator[None]:
    """Turn the missing import of an optional package into its named error."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in ("", "fer_edge"):
            raise
        raise MissingExtraError(package, extra) from None
