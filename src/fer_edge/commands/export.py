"""`fer export`: write model files from a checkpoint, each compared with PyTorch first."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from fer_edge.commands.console import complain, note, print_json, show
from fer_edge.commands.data_options import DataOption, SkipBad, SplitOption
from fer_edge.commands.gate_options import (
    GateFile,
    MaxAccuracyLoss,
    MaxLogitDiff,
    MaxRecallLoss,
    MinAgreement,
    make_gate,
)
from fer_edge.commands.options import (
    MODEL,
    MODEL_NAMES,
    OUTPUT,
    PACKAGED,
    QUANTIZATION,
    THRESHOLDS,
    Json,
    argument,
    command,
    option,
    single,
    split_list,
)
from fer_edge.commands.training_output import show_training
from fer_edge.errors import ConfigError, FerEdgeError, requires_extra
from fer_edge.export.formats import FORMATS, WEB
from fer_edge.runtime.formats.model_files import DEFAULT_MODEL
from fer_edge.spec import Precision

if TYPE_CHECKING:
    from fer_edge.export.exporter import Exported
    from fer_edge.export.thresholds import Gate
    from fer_edge.train.data.dataset import Split

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
GOLDEN_ONLY = (
    "only the golden samples were compared: add --data to compare every face of a test split"
)

app = single()


@command(
    app,
    "fer export run/model.safetensors --data fer2013.tar.gz",
    "fer export run --format onnx,openvino,ncnn --precision fp32,int8",
)
def export(
    checkpoint: Annotated[
        str | None,
        argument(
            f"A model in the package ({PACKAGED}), a checkpoint (.safetensors) or a run's folder. "
            f"By default {DEFAULT_MODEL}.",
            metavar=f"[{MODEL_NAMES}|CHECKPOINT]",
        ),
    ] = None,
    data: DataOption = None,
    split: SplitOption = "test",
    skip_bad: SkipBad = False,
    formats: Annotated[
        list[str],
        option(
            MODEL,
            "--format",
            metavar="|".join((*FORMATS, WEB)),
            help="Format of the file; web: a folder with a page for browsers. Several formats, but "
            "for web: with commas between them, or as repeated options.",
        ),
    ] = ["onnx"],  # noqa: B006 - Typer's default, which nothing changes
    precisions: Annotated[
        list[str],
        option(
            MODEL,
            "--precision",
            metavar="|".join(PRECISIONS),
            help="Precision of the file. fp16 stores the weights in half precision and computes in "
            "fp32. int8 takes the QAT model of the checkpoint, or else quantizes it with faces of "
            "--data. Several: as for --format.",
        ),
    ] = ["fp32"],  # noqa: B006
    int8_search: Annotated[
        bool,
        option(
            QUANTIZATION,
            "--int8-search",
            help="Find the layers that lose too much accuracy in int8, on the val split of --data, "
            "and keep them in float.",
        ),
    ] = False,
    int8_like: Annotated[
        Path | None,
        option(
            QUANTIZATION,
            "--int8-like",
            help="Keep the same layers in float as this int8 file does, without a search.",
        ),
    ] = None,
    gate: GateFile = None,
    min_agreement: MinAgreement = None,
    max_accuracy_loss: MaxAccuracyLoss = None,
    max_recall_loss: MaxRecallLoss = None,
    max_logit_diff: MaxLogitDiff = None,
    no_gate: Annotated[
        bool, option(THRESHOLDS, "--no-gate", help="Keep a file even where it misses a threshold.")
    ] = False,
    output: Annotated[
        Path | None,
        option(
            OUTPUT,
            "--output",
            "-o",
            help="File or folder. By default the run's folder where the checkpoint lies in one, "
            "else the current folder; of --format web, NAME-PRECISION-web in the current folder.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        option(
            OUTPUT,
            "--name",
            help="Name of the file before -PRECISION and the suffix; by default the model's name.",
        ),
    ] = None,
    force: Annotated[
        bool,
        option(
            OUTPUT,
            "--force",
            help="Also replace a file made from another checkpoint, or one that was compared with "
            "PyTorch on more faces or on another split than this one would be.",
        ),
    ] = False,
    engine: Annotated[
        Path | None,
        option(
            OUTPUT,
            "--onnxruntime-web",
            help="For --format web: folder of npm's package onnxruntime-web. By default "
            "node_modules/onnxruntime-web.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Export a checkpoint to ONNX, OpenVINO or ncnn, and keep a file only if it matches PyTorch.

    Each file is compared with PyTorch on 16 built-in faces (the golden samples) and, with --data,
    on every face of a split.
    """
    thresholds = make_gate(
        gate, min_agreement, max_accuracy_loss, max_recall_loss, max_logit_diff, off=no_gate
    )
    wanted_formats = split_list("--format", formats, (*FORMATS, WEB))
    wanted_precisions = split_list("--precision", precisions, PRECISIONS)
    if WEB in wanted_formats:
        several = len(wanted_formats) + len(wanted_precisions) > 2
        if several or name is not None or int8_search or int8_like:
            raise ConfigError(
                "--format web writes one page: it takes one --precision, no other format, and no "
                "--name, --int8-search or --int8-like"
            )
        _export_web(
            checkpoint,
            output,
            data,
            engine=engine,
            split=split,
            skip_bad=skip_bad,
            precision=wanted_precisions[0],
            gate=thresholds,
            force=force,
            as_json=as_json,
        )
        return
    if engine is not None:
        raise ConfigError("--onnxruntime-web is for --format web alone")
    pairs = list(product(wanted_formats, wanted_precisions))
    if int8_search or int8_like:
        _check_int8_options(int8_search, int8_like, wanted_precisions, data, split)
    if len(pairs) > 1 and output is not None and output.suffix and not output.is_dir():
        raise ConfigError(f"{output}: --output must be a folder where several files are written")
    with requires_extra("export"):
        from fer_edge.export.exporter import export_checkpoint
        from fer_edge.export.int8_search import read_int8_recipe, search_int8_recipe
        from fer_edge.export.output import check_output, check_replaceable, resolve_output
        from fer_edge.render.reports import export_table, exported_text
        from fer_edge.runtime.formats.spec_reader import read_spec
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.run_folder import find_checkpoint

    source = find_checkpoint(checkpoint)
    paths = {
        (format, precision): resolve_output(
            source, format=format, precision=precision, output=output, name=name
        )
        for format, precision in pairs
    }
    for path in paths.values():
        check_replaceable(path)
    side = read_spec(source).input.side
    faces = None if data is None else read_data(data, side=side, skip_bad=skip_bad)
    recipe = read_int8_recipe(int8_like) if int8_like else None
    for (format, precision), path in paths.items():  # before any work: it takes minutes
        if precision in FORMATS[format].precisions and not force:
            check_output(path, source, faces, split=split, precision=precision, gate=thresholds)
    if int8_search and faces is not None:
        agreement = thresholds.thresholds("int8").agreement
        recipe = search_int8_recipe(source, faces, note, agreement)
    results: dict[Path, Exported | Exception | str] = {}
    for (format, precision), path in paths.items():
        cell = {"path": str(path), "format": format, "precision": precision}
        if len(pairs) > 1 and precision not in FORMATS[format].precisions:
            results[path] = f"skipped: {FORMATS[format].no_int8}"
            if as_json:
                print_json({**cell, "skipped": FORMATS[format].no_int8})
            continue
        try:
            with show_training("export") as on_progress:
                done = export_checkpoint(
                    source,
                    path,
                    faces,
                    split=split,
                    format=format,
                    precision=precision,
                    gate=thresholds,
                    recipe=recipe if precision == "int8" else None,
                    force=force,
                    on_progress=on_progress,
                )
        except (FerEdgeError, OSError) as error:
            if len(pairs) == 1:
                raise
            complain(error)
            results[path] = error
            if as_json:
                print_json({**cell, "error": f"{type(error).__name__}: {error}"})
            continue
        results[path] = done
        if no_gate:
            missed = sum(len(parity.failures) for parity in done.parities)
            note(f"--no-gate: no file was refused; thresholds missed: {missed}")
        print_json(done.to_dict()) if as_json else print(exported_text(done))
    if faces is None:
        note(GOLDEN_ONLY)
    if len(pairs) > 1 and not as_json:
        show([export_table(results)])
    if any(isinstance(result, Exception) for result in results.values()):
        raise typer.Exit(1)


def _export_web(
    checkpoint: str | None,
    output: Path | None,
    data: Path | None,
    *,
    engine: Path | None,
    split: Split,
    skip_bad: bool,
    precision: Precision,
    gate: Gate,
    force: bool,
    as_json: bool,
) -> None:
    with requires_extra("export"):
        from fer_edge.export.node import MIN_VERSION
        from fer_edge.export.web_exporter import check_folder, default_folder, export_web
        from fer_edge.export.web_page import find_engine
        from fer_edge.render.reports import exported_page_text
        from fer_edge.runtime.formats.spec_reader import read_spec
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.run_folder import find_checkpoint

    source = find_checkpoint(checkpoint)
    folder = output or default_folder(source, precision)
    find_engine(engine)  # before any work
    check_folder(folder, force=force)
    side = read_spec(source).input.side
    faces = None if data is None else read_data(data, side=side, skip_bad=skip_bad)
    with show_training("export") as on_progress:
        done = export_web(
            source,
            folder,
            faces,
            engine=engine,
            split=split,
            precision=precision,
            gate=gate,
            force=force,
            on_progress=on_progress,
        )
    if not gate.enforced:
        missed = sum(len(parity.failures) for parity in done.model.parities)
        note(f"--no-gate: no file was refused; thresholds missed: {missed}")
    print_json(done.to_dict()) if as_json else print(exported_page_text(done))
    if faces is None:
        note(GOLDEN_ONLY)
    if done.node is None:
        note(
            f"Node {MIN_VERSION} or newer isn't installed: ONNX Runtime computed the comparison, "
            "not onnxruntime-web"
        )


def _check_int8_options(
    search: bool, like: Path | None, precisions: list[Precision], data: Path | None, split: Split
) -> None:
    """Check the options of int8's layers in float.

    Raises:
        ConfigError: they contradict each other or the rest.
    """
    for is_wrong, message in (
        ("int8" not in precisions, "--int8-search and --int8-like need --precision int8"),
        (search and (data is None or like), "--int8-search needs --data, and no --int8-like"),
        (
            search and split != "test",
            "--int8-search uses val and train: the comparison must use --split test",
        ),
    ):
        if is_wrong:
            raise ConfigError(message)
