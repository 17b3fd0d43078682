"""Choose and read the faces that models are evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.errors import ConfigError, DataError, SourceError
from fer_edge.runtime.detection.face_cropper import open_cropper
from fer_edge.runtime.detection.find_detector import find_detector
from fer_edge.runtime.inputs.images import hold_image
from fer_edge.spec import ModelSpec
from fer_edge.train.data import duplicates
from fer_edge.train.data.class_folders import count_left_out, find_named_classes, find_splits
from fer_edge.train.data.class_map import ClassMap
from fer_edge.train.data.dataset import FaceData, Faces, LeftOut, Split
from fer_edge.train.data.ferplus import Votes, read_votes
from fer_edge.train.data.folders import ReadFace, read_split, refuse_bad
from fer_edge.train.data.loading import read_classes, read_data
from fer_edge.train.evaluation.training_overlap import find_held_out, warn_of_training_images

NO_FACE = "no face found"


@dataclass(frozen=True)
class EvaluationData:
    """The faces to evaluate models on.

    Attributes:
        data: a data set whose classes are the labels.
        faces: the evaluated ones, labels numbered as the data's.
        left_out: images of the split that aren't in `faces`, and what else lies in its folder.
        votes: FER+'s votes on `faces`; None if not given.
        scope: what part of the data the split is, if training chose it; empty otherwise.
    """

    data: FaceData
    faces: Faces
    left_out: LeftOut
    votes: Votes | None = None
    scope: str = ""


def load_evaluation_data(
    path: Path,
    split: Split,
    specs: Mapping[str, ModelSpec],
    *,
    class_map: ClassMap | None = None,
    read_face: ReadFace | None = None,
    skip_bad: bool = False,
    without_duplicates: bool = False,
    ferplus: Path | None = None,
) -> EvaluationData:
    """Read one split for models with inputs of one size.

    In class folders, a split's own folder is read. Classes that lie directly in `path` are all
    test, unless a model was trained on them: then it is the part that training held out.

    Args:
        path: see `read_data`.
        split: name of the split.
        specs: by the models' paths, for messages and to see what they were trained on.
        class_map: labels of classes, and classes to leave out.
        read_face: reads the face of an image; None: the whole image is the face.
        skip_bad: leave unreadable rows or images out.
        without_duplicates: leave out faces of which train holds a near copy.
        ferplus: CSV file with FER+'s votes on FER2013.

    Raises:
        ConfigError: an option doesn't fit the data.
        DataError: the data is invalid or lacks the split, a model has no label for a class, or the
            votes belong to other data.
        OSError: a file can't be read.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    classes = class_map or ClassMap()
    if path.is_dir():
        if ferplus:
            raise ConfigError(f"--ferplus holds votes on FER2013, not on the images in {path}")
        found = _read_folder(path, split, specs, classes, read_face, skip_bad=skip_bad)
    else:
        if read_face:
            raise ConfigError("--faces detect is for photographs in class folders, not FER2013")
        found = _read_file(path, split, specs, classes, ferplus, skip_bad=skip_bad)
    if without_duplicates:
        if path.is_dir() and not find_splits(path) and not found.scope:
            raise ConfigError(f"--without-duplicates: {path} is all test: there is no train in it")
        train = read_data(path, side=_side(specs), skip_bad=skip_bad).split("train")
        is_copy = duplicates.find_near_copies(found.faces, train)
        return _leave_out(found, is_copy, "near copies of faces in train")
    return found


def match_classes(
    path: Path, names: Sequence[str], specs: Mapping[str, ModelSpec], class_map: ClassMap
) -> None:
    """See that each model has a label for each class that isn't left out.

    Raises:
        ConfigError: the map names an unknown label.
        DataError: a model has no label for a class; it names all such classes.
    """
    kept = [name for name in names if not class_map.is_ignored(name)]
    for model, spec in specs.items():
        unknown = [name for name in kept if class_map.find_label(name, spec.labels) is None]
        if unknown:
            shown = ", ".join(map(repr, unknown))
            raise DataError(
                f"{path}: {model} doesn't know the label{'s' * (len(unknown) > 1)} {shown}, only "
                f"{', '.join(spec.labels)}: leave such classes out with --ignore-class, or give "
                "them labels with --class-map"
            )


def face_finder(spec: ModelSpec, detector: str | Path | None = None) -> ReadFace:
    """Make a function that reads the largest face of a photograph as `fer infer` crops it.

    Args:
        spec: of the model that will read the face.
        detector: as for `find_detector`.

    Raises:
        ModelError: there is no detector, or it can't be opened.
    """
    cropper = open_cropper(spec, find_detector(detector))

    def read(image: Path) -> npt.NDArray[np.uint8] | str:
        try:
            with hold_image(image) as loaded:
                crops = cropper(loaded.image, loaded.size)
        except SourceError as error:
            return str(error).removeprefix(f"{image}: ")
        if not crops.faces:
            return NO_FACE
        areas = [box[2] * box[3] for box, _ in crops.boxes]
        return crops.faces[int(np.argmax(areas))]

    return read


def _side(specs: Mapping[str, ModelSpec]) -> int:
    return next(iter(specs.values())).input.side


def _read_folder(
    path: Path,
    split: Split,
    specs: Mapping[str, ModelSpec],
    class_map: ClassMap,
    read_face: ReadFace | None,
    *,
    skip_bad: bool,
) -> EvaluationData:
    splits = find_splits(path)
    is_own_folder = split in splits or (not splits and split == "test")
    if not is_own_folder and splits and (split != "val" or "train" not in splits):
        raise DataError(f"{path}: there is no {split} split, only {', '.join(splits)} (--split)")
    folder = splits.get(split, splits.get("train", path))
    classes = find_named_classes(folder)
    class_map.check_ignored(list(classes))
    match_classes(path, list(classes), specs, class_map)
    count, side, scope = sum(map(len, classes.values())), _side(specs), ""
    division: FaceData | None
    if not is_own_folder:
        division = read_data(path, side=side, skip_bad=skip_bad)
    else:
        division = None if splits else find_held_out(path, side, count, specs)
    if division is not None:
        held = {division.location(row) for row in division.split(split).rows}
        classes = {
            name: [file for file in files if str(file.relative_to(path)) in held]
            for name, files in classes.items()
        }
        scope = f"the {split} split that training takes from {count:,} images"
    counts = {
        f"of the ignored class {name}": len(files)
        for name, files in classes.items()
        if class_map.is_ignored(name)
    }
    kept = {name: files for name, files in classes.items() if not class_map.is_ignored(name)}
    if read_face:
        data = read_split(path, split, kept, read_face)
    else:
        data = read_classes(path, split, kept, side)
    without_face = [item for item in data.bad if item.reason == NO_FACE]
    unreadable = [item for item in data.bad if item.reason != NO_FACE]
    if not skip_bad:
        refuse_bad(path, unreadable)
    counts |= {"unreadable": len(unreadable), "without a face": len(without_face)}
    counts |= count_left_out(path, [folder])
    if not splits and not scope:
        warn_of_training_images(path, count, specs)
    return EvaluationData(data, data.splits[split], LeftOut(counts, data.bad), None, scope)


def _read_file(
    path: Path,
    split: Split,
    specs: Mapping[str, ModelSpec],
    class_map: ClassMap,
    ferplus: Path | None,
    *,
    skip_bad: bool,
) -> EvaluationData:
    data = read_data(path, side=_side(specs), skip_bad=skip_bad)
    class_map.check_ignored(data.labels)
    match_classes(path, data.labels, specs, class_map)
    faces = data.split(split)
    votes = read_votes(ferplus, data)[split] if ferplus else None
    found = EvaluationData(data, faces, LeftOut(), votes)
    for number, name in enumerate(data.labels):
        if class_map.is_ignored(name):
            is_class = found.faces.labels == number
            found = _leave_out(found, is_class, f"of the ignored class {name}")
    return found


def _leave_out(found: EvaluationData, mask: npt.NDArray[np.bool_], reason: str) -> EvaluationData:
    counts = {**found.left_out.counts, reason: int(mask.sum())}
    votes = Votes(found.votes.counts[~mask]) if found.votes else None
    left_out = LeftOut(counts, found.left_out.items)
    return EvaluationData(found.data, found.faces.take(~mask), left_out, votes, found.scope)
