"""`fer detector`: install YuNet; train, evaluate and export a detector of our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from fer_edge.commands.console import note, print_json, show
from fer_edge.commands.detector_train import LabelsOption, train
from fer_edge.commands.options import (
    INPUT,
    MEASUREMENT,
    MODEL,
    OUTPUT,
    THRESHOLDS,
    Json,
    argument,
    command,
    group,
    option,
)
from fer_edge.commands.training_output import show_training
from fer_edge.errors import ConfigError, requires_extra
from fer_edge.export.formats import FORMATS
from fer_edge.runtime.backends.registry import ENGINES
from fer_edge.text import printable
from fer_edge.train.detector.config import VALIDATION_SIDE
from fer_edge.train.run_folder import find_run_checkpoint

if TYPE_CHECKING:
    Format: TypeAlias = str
else:
    Format = Literal[*FORMATS]
Precision = Literal["fp32", "int8"]

app = group("Install YuNet, or train a face detector.")


@command(
    app, "fer detector install", "fer detector install --from face_detection_yunet_2026may.onnx"
)
def install(
    source: Annotated[
        Path | None,
        option(
            INPUT,
            "--from",
            help="YuNet's file. By default it is downloaded from OpenCV Zoo.",
        ),
    ] = None,
) -> None:
    """Install the face detector YuNet (OpenCV Zoo, MIT licence, 230 KB), for --detector yunet."""
    from fer_edge.runtime.detection.install import install, is_installed

    message = "already installed" if source is None and is_installed() else "installed"
    print(printable(f"{message} {install(source)}"))
    note("--detector yunet, or FER_EDGE_DETECTOR=yunet, uses it")


@command(app, "fer detector label photographs --output labels.json")
def label(
    photographs: Annotated[
        Path, argument("Folder with train/KIND/ and val/KIND/.", metavar="PHOTOS")
    ],
    output: Annotated[Path, option(OUTPUT, "--output", "-o", help="File to write.")] = Path(
        "labels.json"
    ),
    detector: Annotated[
        Path | None,
        option(INPUT, "--detector", help="File of YuNet; by default the installed one."),
    ] = None,
) -> None:
    """Find the faces of photographs with YuNet at several scales, for fer detector train.

    Faces that people marked, in web-faces-points.json, are certain; others have the mean score of
    the searches that can find a face of their size, of ten at five scales and in a mirror.
    """
    with requires_extra("train"):
        from fer_edge.train.detector.label_photographs import label_photographs

    with show_training("photographs") as on_progress:
        count = label_photographs(photographs, output, detector=detector, on_progress=on_progress)
    print(printable(f"labelled {count} photographs: {output}"))


command(
    app,
    "fer detector train photographs --labels labels.json --output runs/faces",
    "fer detector train photographs --labels labels.json --from runs/faces -o int8 --epochs 5"
    " --lr 0.0004 --ema 0.998",
    "fer detector train --output runs/faces --resume",
)(train)


@command(
    app,
    "fer detector evaluate runs/faces photographs --labels labels.json",
    "fer detector evaluate face_detection_yunet_2026may.onnx photographs --labels labels.json",
)
def evaluate(
    model: Annotated[
        Path,
        argument("A run, a checkpoint, an exported detector or YuNet's file.", metavar="MODEL"),
    ],
    photographs: Annotated[
        Path, argument("Folder with train/KIND/ and val/KIND/.", metavar="PHOTOS")
    ],
    labels: LabelsOption,
    sides: Annotated[
        list[int] | None,
        option(
            MEASUREMENT,
            "--side",
            min=32,
            help="Longer side to which photographs are shrunk, in pixels; by default 640 and 320. "
            "May be repeated.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        option(
            MEASUREMENT,
            "--score",
            min=0,
            max=1,
            help="Lowest score of a face; by default the detector's own.",
        ),
    ] = None,
    engine: Annotated[
        str,
        option(MEASUREMENT, "--backend", help=f"Inference engine: {', '.join(ENGINES)}."),
    ] = "onnxruntime",
    int8: Annotated[
        bool, option(MODEL, "--int8", help="Evaluate the QAT model of a checkpoint.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the faces that a detector finds in the photographs of val with their labels."""
    with requires_extra("train"):
        from fer_edge.render.detector import detector_table
        from fer_edge.train.detector.evaluate import evaluate_detector
        from fer_edge.train.detector.labels import read_labels

    val = read_labels(labels).split("val")
    reports = []
    for side in sides or (640, 320):
        with show_training("photographs") as on_progress:
            reports.append(
                evaluate_detector(
                    find_run_checkpoint(model),
                    val,
                    photographs,
                    side=side,
                    score_threshold=threshold,
                    engine=engine,
                    quantized=int8,
                    on_progress=on_progress,
                )
            )
        if as_json:
            print_json(reports[-1].to_dict())
    if not as_json:
        show([detector_table(reports)])


@command(
    app,
    "fer detector export runs/faces",
    "fer detector export int8 --precision int8 --photographs photographs --labels labels.json",
)
def export(
    checkpoint: Annotated[
        Path, argument("A run's folder or a checkpoint of a detector.", metavar="CHECKPOINT")
    ],
    photographs: Annotated[
        Path | None,
        option(INPUT, "--photographs", help="Folder with val/KIND/, to compare on as well."),
    ] = None,
    labels: Annotated[
        Path | None, option(INPUT, "--labels", help="Labels of the photographs.")
    ] = None,
    format: Annotated[Format, option(OUTPUT, "--format", help="Format of the file.")] = "onnx",
    precision: Annotated[
        Precision, option(OUTPUT, "--precision", help="fp32, or int8, the checkpoint's QAT model.")
    ] = "fp32",
    threshold: Annotated[
        float | None,
        option(
            MODEL,
            "--score",
            min=0,
            max=1,
            help="Lowest score of a face, for the spec; by default the checkpoint's.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option(OUTPUT, "--output", "-o", help="File; by default NAME-PRECISION beside the run."),
    ] = None,
    force: Annotated[bool, option(OUTPUT, "--force", help="Replace an existing file.")] = False,
    no_gate: Annotated[
        bool, option(THRESHOLDS, "--no-gate", help="Keep a file that misses a threshold.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Export a detector, its decoding inside, and prove that it finds what PyTorch finds.

    The file is compared on golden samples and, with --photographs, on those of val. One that misses
    a threshold is not kept.
    """
    if (photographs is None) != (labels is None):
        raise ConfigError("--photographs and --labels belong together")
    with requires_extra("export"):
        from fer_edge.export.detector_exporter import export_detector
        from fer_edge.runtime.formats.spec_reader import read_detector_spec
        from fer_edge.train.detector.labels import read_labels
        from fer_edge.train.detector.whole import WholePhotographs

    source = find_run_checkpoint(checkpoint)
    name = f"{read_detector_spec(source).name}-{precision}{FORMATS[format].suffix}"
    val = None
    if photographs is not None and labels is not None:
        val = WholePhotographs(read_labels(labels).split("val"), photographs, VALIDATION_SIDE)
    done = export_detector(
        source,
        output or source.with_name(name),
        val,
        format=format,
        precision=precision,
        score_threshold=threshold,
        enforced=not no_gate,
        force=force,
    )
    if as_json:
        print_json(done.to_dict())
        return
    found = done.parity
    lost = found.recall_lost
    recall = "" if lost is None else f"; recall lost {100 * lost:.2f} points"
    print(
        f"{found.faces} faces in {found.photographs} photographs and the golden samples: "
        f"{found.same:.2%} the same, boxes within {found.max_box_difference:.3f} px{recall}"
    )
    print(printable(f"wrote {done.path} ({done.size / 1e3:.0f} KB) and {done.report}"))
    if val is None:
        note("compared on the golden samples alone: --photographs compares on photographs")
