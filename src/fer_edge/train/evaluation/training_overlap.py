"""Whether models were trained on the images of a folder: by their runs' records and their specs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_edge.documents import read_json
from fer_edge.errors import DataError
from fer_edge.spec import ModelSpec
from fer_edge.text import printable
from fer_edge.train.data.class_folders import SPLIT_NAMES
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.loading import read_data
from fer_edge.train.run_folder import INPUTS_FILE

SEPARATOR = ", then "
"""Between the names of the data sets that a model was trained on one after the other."""
_TRAIN = [name for name, split in SPLIT_NAMES.items() if split == "train"]

log = logging.getLogger(__name__)


def find_held_out(
    path: Path, side: int, count: int, specs: Mapping[str, ModelSpec]
) -> FaceData | None:
    """Divide class folders without splits as training does, if a model was trained on them.

    Args:
        path: the folder.
        side: of the faces, in pixels.
        count: number of images in it.
        specs: by the models' paths.

    Returns:
        The data with its splits; None if no model was trained on these images.
    """
    name = printable(path.resolve().name)
    if not any(
        _last_name(spec) == name or sum(spec.data.faces.values()) == count
        for spec in specs.values()
    ):
        return None
    try:
        division = read_data(path, side=side, skip_bad=True)
    except DataError:  # training refuses it
        return None
    return division if any(_is_from(division, *one) for one in specs.items()) else None


def warn_of_training_images(path: Path, count: int, specs: Mapping[str, ModelSpec]) -> None:
    """Warn where images that models are evaluated on may be those that they were trained on.

    Args:
        path: their folder.
        count: number of images.
        specs: by the models' paths.
    """
    folder = path.resolve()
    names = {folder.name, folder.parent.name if folder.name.lower() in _TRAIN else folder.name}
    for model, spec in specs.items():
        trained = spec.data.faces
        if _last_name(spec) in names or count in (sum(trained.values()), trained.get("train")):
            log.warning(
                "%s: %s was trained on %s, %d images: if these are among them, the figures are too "
                "high; keep test images in a folder of their own",
                path,
                model,
                _last_name(spec),
                sum(trained.values()),
            )


def _is_from(division: FaceData, model: str, spec: ModelSpec) -> bool:
    if digests := _digests(model):
        return bool(digests.get("train") == division.split("train").sha256())
    return _last_name(spec) == division.name and spec.data.faces == division.counts()


def _last_name(spec: ModelSpec) -> str:
    return spec.data.name.split(SEPARATOR)[-1]


def _digests(model: str) -> dict[str, Any]:
    """SHA-256 of the splits that a run was trained on; {} for a model that isn't in its folder."""
    try:
        document = read_json(Path(model).parent / INPUTS_FILE)
    except (OSError, ValueError):
        return {}
    found = document.get("sha256") if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}
