"""`fer data`: what a data set holds, faces cut out of photographs, and the logits of teachers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from fer_edge.atomic import check_writable
from fer_edge.commands.console import note, print_json, show
from fer_edge.commands.data_options import DATA, Ferplus, SkipBad
from fer_edge.commands.options import (
    DETECTION,
    INPUT,
    OUTPUT,
    TARGETS,
    Json,
    argument,
    command,
    group,
    option,
)
from fer_edge.commands.training_output import show_training
from fer_edge.errors import ConfigError, DataError, requires_extra
from fer_edge.runtime.formats.model_files import BUNDLED
from fer_edge.schema import parse
from fer_edge.text import format_count
from fer_edge.train.config import TrainConfig
from fer_edge.train.recipe_files import read_recipe
from fer_edge.train.run_folder import VIEWS_FOLDER, find_checkpoint

_OF_RECIPE = ("teachers", "mirror_teachers", "views", "seed", "side", "unlabelled")
"""Settings of a recipe that `fer data logits` takes, beside the augmentation."""
_VIEWS = 8

app = group("Inspect and prepare training data.")


@command(app, "fer data inspect my_faces", "fer data inspect fer2013.tar.gz --json")
def inspect(
    path: Annotated[Path, argument(DATA, metavar="PATH")],
    ferplus: Ferplus = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Show class counts, unreadable rows or images, and duplicates in and across splits."""
    with requires_extra("train"):
        from fer_edge.render.reports import inspection_tables
        from fer_edge.train.data.inspection import inspect_data, read_for_inspection

    data, reason = read_for_inspection(path)
    found = inspect_data(data, ferplus)
    print_json(found.to_dict()) if as_json else show(inspection_tables(found))
    if reason:
        raise DataError(reason)
    if found.bad and not skip_bad:
        raise DataError(
            f"{path}: {len(found.bad)} rows or images can't be read: repair or remove them, or "
            "leave them out with --skip-bad"
        )


@command(
    app,
    "fer data crop photos/ faces/",
    "fer data crop photos/ faces/ --min-side 48 --not-in fer2013.tar.gz",
)
def crop(
    photographs: Annotated[
        Path,
        argument("Folder of photographs; its subfolders are searched.", metavar="PHOTOS"),
    ],
    output: Annotated[
        Path, argument("Folder for the faces; it is made if missing.", metavar="OUTPUT")
    ],
    not_in: Annotated[
        Path | None,
        option(
            INPUT,
            "--not-in",
            help="Data set of whose val and test splits no face may be a near copy: a FER2013 "
            "file, or class folders.",
        ),
    ] = None,
    detector: Annotated[
        str | None,
        option(
            DETECTION,
            "--detector",
            metavar="built-in|yunet|FILE",
            help="Face detector. By default the file that FER_EDGE_DETECTOR names, else YuNet (fer "
            "detector install).",
        ),
    ] = None,
    min_score: Annotated[
        float,
        option(DETECTION, "--min-score", help="Minimum score of the detector, from 0.6 to 1."),
    ] = 0.8,
    min_side: Annotated[
        int,
        option(
            DETECTION,
            "--min-side",
            help="Minimum face size in the photograph (the shorter side), in pixels.",
        ),
    ] = 32,
    side: Annotated[
        int,
        option(
            OUTPUT,
            "--side",
            min=16,
            max=512,
            help="Width and height of the written faces, in pixels: the model's input side.",
        ),
    ] = 48,
    as_json: Json = False,
) -> None:
    """Cut the faces of photographs out, as fer infer does, into gray PNG files.

    YuNet finds them, for whose scores --min-score was chosen.

    The face number I of a/b.jpg becomes a/b-I.png. Files that are there already stay. Photographs
    that cannot be read are named and left out.

    fer train --unlabelled trains on these faces with the probabilities of teachers as targets.
    """
    with requires_extra("train"):
        from fer_edge.train.data.cropped_faces import FaceLimits
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.data.photographs import crop_photographs

    limits = FaceLimits(min_score, min_side)
    splits = read_data(not_in, side=side).splits if not_in else {}
    held_out = [faces for name, faces in splits.items() if name != "train"]
    if not_in and not held_out:
        raise DataError(f"{not_in}: it has neither a val nor a test split")
    with show_training("photographs") as on_progress:
        found = crop_photographs(
            photographs,
            output,
            side=side,
            limits=limits,
            detector=detector,
            held_out=held_out,
            on_progress=on_progress,
        )
    print_json(found.to_dict()) if as_json else print(found)


@command(
    app, "fer data logits fer2013.tar.gz --teacher a --teacher b --output teachers.safetensors"
)
def logits(
    path: Annotated[Path, argument(DATA, metavar="PATH")],
    output: Annotated[Path, option(OUTPUT, "--output", "-o", help="File to write.")],
    teachers: Annotated[
        list[str] | None,
        option(
            TARGETS,
            "--teacher",
            metavar="NAME|FILE",
            help=f"A run's folder, a checkpoint or a model in the package ({', '.join(BUNDLED)}). "
            "May be repeated.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        option(
            TARGETS,
            "--recipe",
            metavar="NAME|FILE",
            help=f"Recipe with [augmentation]. Its {', '.join(_OF_RECIPE)} are the defaults of "
            "this command; options override them.",
        ),
    ] = None,
    views: Annotated[
        int | None,
        option(
            TARGETS,
            "--views",
            min=1,
            help=f"Number of augmented views of each face; by default {_VIEWS}.",
        ),
    ] = None,
    mirror_teachers: Annotated[
        bool | None,
        option(
            TARGETS, "--mirror/--no-mirror", help="Average over each view and its mirror image."
        ),
    ] = None,
    seed: Annotated[
        int | None, option(TARGETS, "--seed", min=0, help="Seed of the views; by default 0.")
    ] = None,
    unlabelled: Annotated[
        Path | None,
        option(
            TARGETS, "--unlabelled", help="Folder of face images without labels, which join train."
        ),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Write the logits of teachers on views of the training faces, for `fer train`.

    Finished views are saved in the folder teacher_views beside the file. An interrupted command
    that is repeated does not compute them again.
    """
    typed = {
        "teachers": teachers,
        "views": views,
        "mirror_teachers": mirror_teachers,
        "seed": seed,
        "unlabelled": unlabelled and str(unlabelled),
    }
    settings = read_recipe(recipe) if recipe else {}
    given = {name: settings[name] for name in (*_OF_RECIPE, "augmentation") if name in settings}
    given |= {name: value for name, value in typed.items() if value is not None}
    if not given.get("teachers"):
        raise ConfigError("--teacher is missing: the checkpoints that predict")
    if not given.get("views"):
        given["views"] = _VIEWS
    try:
        config = parse(TrainConfig, {**given, "data": str(path)}, "settings", unknown="reject")
    except ValueError as error:
        raise ConfigError(str(error)) from None
    config = replace(config, teachers=tuple(str(find_checkpoint(one)) for one in config.teachers))
    with requires_extra("train"):
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.data.unlabelled import leave_out_copies, read_unlabelled
        from fer_edge.train.teacher_logits import collect_logits

    check_writable(output.parent)
    data = read_data(path, side=config.side, skip_bad=skip_bad)
    folder, extra = output.parent / VIEWS_FOLDER, None
    if config.unlabelled:
        extra = read_unlabelled(Path(config.unlabelled), side=config.side, skip_bad=skip_bad)
        extra = leave_out_copies(extra, data)
    with show_training() as on_progress:
        found = collect_logits(config, data, folder, on_progress, extra)
    found.save(output)
    counts = (
        format_count(config.views, "view"),
        format_count(len(found.faces), "face"),
        format_count(len(config.teachers), "teacher"),
    )
    note("{}: {} of {}, by {}".format(output, *counts))
