"""The same figures for a checkpoint and for what was exported from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.atomic import write_text
from fer_edge.errors import DataError, DeviceError, ModelError
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats import model_files
from fer_edge.runtime.results import softmax
from fer_edge.spec import ModelSpec
from fer_edge.train.data import duplicates
from fer_edge.train.data.dataset import FaceData, Faces, Split
from fer_edge.train.data.ferplus import Votes, read_votes
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.annotator_agreement import People
from fer_edge.train.evaluation.metrics import Report

Predict = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
CHECKPOINT = ".safetensors"
_AT_ONCE = 256


@dataclass(frozen=True)
class Model:
    """Anything that answers faces.

    Attributes:
        name: what it is called in reports.
        spec: the contract.
        predict: takes uint8 `[N, S, S]`, gives float32 `[N, labels]`.
        size: bytes of its files; 0 where it has none.
    """

    name: str
    spec: ModelSpec
    predict: Predict
    size: int = 0


def open_model(
    path: Path, *, backend: str = "auto", device: str = "cpu", threads: int = 0
) -> Model:
    """A checkpoint under PyTorch on the CPU, or an exported file under its engine.

    Raises:
        ModelError, SpecError, DeviceError, MissingExtraError: the file can't be used here.
    """
    if path.suffix == CHECKPOINT:
        if backend != "auto" or device not in ("auto", "cpu"):
            raise DeviceError(
                f"{path}: a checkpoint is answered by PyTorch on the CPU: --backend and --device "
                "are for exported files"
            )
        from fer_edge.train.networks import checkpoint

        loaded = checkpoint.load(path)
        return Model(str(path), loaded.spec, loaded.predict, model_files.model_size(path))
    engine = open_backend(path, backend=backend, device=device, threads=threads)
    return Model(str(path), engine.spec, engine, model_files.model_size(path))


@dataclass(frozen=True)
class Asked:
    """The faces that models are asked about.

    Attributes:
        data: where they are from.
        faces: the split's, or what is left of it, numbered as the data's labels.
        left_out: how many of the split aren't among them.
        votes: FER+'s on each of them, where it is given.
    """

    data: FaceData
    faces: Faces
    left_out: int
    votes: Votes | None


def ask(
    path: Path,
    split: Split,
    side: int,
    *,
    skip_bad: bool = False,
    without_duplicates: bool = False,
    ferplus: Path | None = None,
) -> Asked:
    """Read what models whose input is `side` pixels wide are asked about.

    Args:
        path, side, skip_bad: see `read_data`.
        split: of the data.
        without_duplicates: leave out faces that train holds a near copy of.
        ferplus: FER+'s votes on FER2013.

    Raises:
        DataError, OSError: the data can't be read or lacks the split; the votes aren't its own.
    """
    data = read_data(path, side=side, skip_bad=skip_bad)
    faces = data.split(split)
    votes = read_votes(ferplus, data)[split] if ferplus else None
    kept = np.ones(len(faces), bool)
    if without_duplicates:
        kept = ~duplicates.near(faces, data.split("train"))
    left = Votes(votes.counts[kept]) if votes else None
    return Asked(data, faces.take(kept), int((~kept).sum()), left)


def matched(data: FaceData, split: Faces, spec: ModelSpec, model: str) -> Faces:
    """A split with its labels numbered as in the model's spec.

    Raises:
        DataError: the data has labels that the model doesn't know, or faces of another side.
    """
    if unknown := sorted(set(data.labels) - set(spec.labels)):
        raise DataError(
            f"{data.path}: {model} doesn't know the label {unknown[0]!r}, "
            f"only {', '.join(spec.labels)}"
        )
    if split.pixels.shape[1] != spec.input.side:
        raise DataError(
            f"{data.path}: faces of {split.pixels.shape[1]} px, {model} takes {spec.input.side}"
        )
    places = np.array([spec.labels.index(label) for label in data.labels], np.int64)
    return Faces(split.pixels, places[split.labels], split.rows)


def renumbered(data: FaceData, spec: ModelSpec, model: str) -> FaceData:
    """All splits with their labels numbered as in a model's spec.

    Raises:
        DataError: as `matched`.
    """
    splits = {name: matched(data, faces, spec, model) for name, faces in data.splits.items()}
    return replace(data, labels=spec.labels, splits=splits)


def predict_all(predict: Predict, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Logits float32 `[N, labels]` of any number of faces, in batches of bounded memory."""
    return np.concatenate(
        [predict(pixels[i : i + _AT_ONCE]) for i in range(0, len(pixels), _AT_ONCE)]
    )


def evaluate(model: Model, faces: Faces, split: str, left_out: int = 0) -> Report:
    """Answer every face of a split and report; labels numbered as in the model's spec.

    Args:
        model: what answers.
        faces: the split, or what is left of it.
        split: its name.
        left_out: how many of its faces aren't among `faces`.

    Raises:
        DataError: there is no face.
        ModelError: an answer isn't a number.
    """
    if not len(faces):
        raise DataError(f"no face of {split} is left to evaluate {model.name} on")
    logits = predict_all(model.predict, faces.pixels)
    if not np.isfinite(logits).all():
        raise ModelError(f"{model.name}: some of its answers aren't numbers")
    probabilities = softmax(logits / model.spec.temperature).astype(np.float32)
    labels = model.spec.labels
    return Report(model.name, split, labels, faces.labels, probabilities, left_out, size=model.size)


def write_report(
    report: Report, faces: Faces, folder: Path, people: People | None = None
) -> list[Path]:
    """`report.json`, `confusion.png`, `reliability.png` and `gallery.png` in `folder`.

    With FER+'s votes `people.png` as well.

    Raises:
        MissingExtraError: matplotlib isn't installed.
    """
    from fer_edge.train.evaluation import plots

    pictures = {
        "confusion.png": plots.confusion(report),
        "reliability.png": plots.reliability_diagram(report),
        "gallery.png": plots.gallery(report, faces.pixels),
        **({"people.png": plots.people(report, people)} if people else {}),
    }
    document = report.to_dict() | ({"people": people.to_dict()} if people else {})
    write_text(folder / "report.json", json.dumps(document, indent=2) + "\n")
    for name, figure in pictures.items():
        plots.save(figure, folder / name)
    return [folder / "report.json", *(folder / name for name in pictures)]
