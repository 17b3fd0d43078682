"""`fer evaluate`: metrics of a model on a split, or the variance over several models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from fer_edge.atomic import check_writable
from fer_edge.commands.console import note, print_json, show
from fer_edge.commands.data_options import TEST_DATA, Ferplus, SkipBad, SplitOption
from fer_edge.commands.options import (
    DETECTION,
    INPUT,
    OUTPUT,
    BackendOption,
    DetectorOption,
    DeviceOption,
    Json,
    argument,
    command,
    option,
    single,
)
from fer_edge.commands.training_output import show_training
from fer_edge.errors import ConfigError, requires_extra
from fer_edge.runtime.formats.model_files import BUNDLED

if TYPE_CHECKING:
    from fer_edge.spec import CropSpec
    from fer_edge.train.evaluation.evaluate import Model

app = single()


@command(
    app,
    "fer evaluate base --data fer2013.tar.gz",
    "fer evaluate run/model.safetensors --data fer2013.tar.gz",
    "fer evaluate model.onnx --data my_faces --ignore-class contempt",
    "fer evaluate runs/seed* --data my_faces --split val",
    "fer evaluate model.onnx --data fer2013.tar.gz --corruptions",
)
def evaluate(
    models: Annotated[
        list[str],
        argument(
            f"Models in the package ({', '.join(BUNDLED)}), checkpoints, runs' folders or exported "
            "files. Of several, such as runs with different "
            "seeds, the mean and the standard deviation are reported as well.",
            metavar="MODEL...",
        ),
    ],
    data: Annotated[Path, option(INPUT, "--data", help=TEST_DATA)],
    split: SplitOption = "test",
    ignore_class: Annotated[
        list[str] | None,
        option(
            INPUT,
            "--ignore-class",
            metavar="NAME",
            help="Leave out the images of a class; may be repeated.",
        ),
    ] = None,
    class_map: Annotated[
        Path | None,
        option(
            INPUT,
            "--class-map",
            help='TOML file with lines such as "grin" = "happy", the label of a class; "-" leaves '
            "the class out. Common synonyms are known without it.",
        ),
    ] = None,
    without_duplicates: Annotated[
        bool,
        option(
            INPUT,
            "--without-duplicates",
            help="Leave out faces that have a near-duplicate in the train split.",
        ),
    ] = False,
    corruptions: Annotated[
        bool,
        option(
            INPUT,
            "--corruptions",
            help="Also evaluate on the same faces with noise, blur, JPEG compression, few pixels, "
            "other light or parts covered: 20 more evaluations.",
        ),
    ] = False,
    ferplus: Ferplus = None,
    skip_bad: SkipBad = False,
    faces: Annotated[
        Literal["whole", "detect"],
        option(
            DETECTION,
            "--faces",
            help="whole: each image is one face. detect: images are photographs; the largest face "
            "of each is found, and those without a face are left out.",
        ),
    ] = "whole",
    detector: DetectorOption = None,
    backend: BackendOption = "auto",
    device: DeviceOption = "cpu",
    output: Annotated[
        Path | None,
        option(
            OUTPUT,
            "--output",
            "-o",
            help="Folder of the report; for several models, the parent of their folders. By "
            "default a folder named after the model and the split, in the run's folder or else in "
            "the current one.",
        ),
    ] = None,
    force: Annotated[
        bool,
        option(OUTPUT, "--force", help="Replace the report of another evaluation."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure accuracy, per-class metrics, confusion and calibration, and write plots."""
    if without_duplicates and split == "train":
        raise ConfigError("--without-duplicates leaves out copies of train: --split val or test")
    if without_duplicates and faces == "detect":
        raise ConfigError("--without-duplicates compares cropped faces: not with --faces detect")
    if detector and faces == "whole":
        raise ConfigError("--detector is for --faces detect")
    with requires_extra("train"):
        from fer_edge.render.corruptions import corruption_tables
        from fer_edge.render.reports import annotator_tables, report_tables, variation_table
        from fer_edge.train.data.class_map import read_class_map
        from fer_edge.train.evaluation import plots  # noqa: F401 - fails here if it isn't installed
        from fer_edge.train.evaluation.annotator_agreement import compare_with_annotators
        from fer_edge.train.evaluation.corruption_report import measure_corruptions
        from fer_edge.train.evaluation.evaluate import (
            evaluate,
            match_labels,
            open_model,
            predict_probabilities,
        )
        from fer_edge.train.evaluation.evaluation_data import face_finder, load_evaluation_data
        from fer_edge.train.evaluation.report_folder import (
            check_report_folder,
            default_report_folder,
            report_document,
            write_report,
        )
        from fer_edge.train.evaluation.seed_variance import distinct_names, measure_variation
        from fer_edge.train.run_folder import find_checkpoint

    paths = [find_checkpoint(model, "model") for model in models]
    if len({path.absolute() for path in paths}) < len(paths):
        raise ConfigError("a model is given twice")
    with requires_extra("train"):  # for checkpoints
        opened = [open_model(model, backend=backend, device=device) for model in paths]
    classes = read_class_map(class_map, ignore_class or ())
    by_input: dict[tuple[int, CropSpec], list[Model]] = {}
    for model in opened:
        by_input.setdefault((model.spec.input.side, model.spec.crop), []).append(model)
    loaded = {
        key: load_evaluation_data(
            data,
            split,
            {model.name: model.spec for model in alike},
            class_map=classes,
            read_face=face_finder(alike[0].spec, detector) if faces == "detect" else None,
            skip_bad=skip_bad,
            without_duplicates=without_duplicates,
            ferplus=ferplus,
        )
        for key, alike in by_input.items()
    }
    sources = [loaded[model.spec.input.side, model.spec.crop] for model in opened]
    matched = [
        match_labels(source.data, source.faces, model.spec, model.name, classes)
        for model, source in zip(opened, sources, strict=True)
    ]
    if output is None:
        folders = [
            default_report_folder(path, model.sha256, split, without_duplicates=without_duplicates)
            for path, model in zip(paths, opened, strict=True)
        ]
    elif len(paths) == 1:
        folders = [output]
    else:
        folders = [output / name for name in distinct_names(paths)]
    for model, split_faces, folder in zip(opened, matched, folders, strict=True):
        check_writable(folder)
        if not force:
            check_report_folder(
                folder,
                model.sha256,
                split_faces.sha256(),
                split,
                engine=model.engine,
                device=model.device,
                has_votes=ferplus is not None,
                has_corruptions=corruptions,
            )
    reports = []
    for model, source, split_faces, folder in zip(opened, sources, matched, folders, strict=True):
        report = evaluate(model, split_faces, split, source.left_out, source.scope)
        agreement = None if source.votes is None else compare_with_annotators(report, source.votes)
        robustness = None
        if corruptions:
            predict = partial(predict_probabilities, model)
            with show_training("corruptions") as on_progress:
                robustness = measure_corruptions(
                    report, predict, split_faces.pixels, model.spec.crop, on_progress
                )
        files = write_report(report, split_faces, folder, agreement, robustness, force=force)
        if as_json:
            print_json(report_document(report, agreement, robustness))
        else:
            show(report_tables(report))
            show(annotator_tables(agreement) if agreement else [])
            show(corruption_tables(robustness) if robustness else [])
        note("wrote " + ", ".join(map(str, files)))
        reports.append(report)
    if len(reports) < 2:
        return
    variation = measure_variation(reports)
    if as_json:
        print_json(
            {
                "models": [report.model for report in reports],
                "split": split,
                "variation": {name: one.to_dict() for name, one in variation.items()},
            }
        )
    else:
        show([variation_table(reports, variation)])
