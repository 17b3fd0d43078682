"""Evaluate a checkpoint or an exported file on one split: both give the same report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError, DeviceError, ModelError
from fer_edge.runtime.backends import open_backend
from fer_edge.runtime.formats import model_files
from fer_edge.runtime.results import softmax
from fer_edge.spec import ModelSpec
from fer_edge.train.data.class_map import ClassMap
from fer_edge.train.data.dataset import FaceData, Faces, LeftOut, Split
from fer_edge.train.evaluation.evaluation_data import (
    face_finder,
    load_evaluation_data,
    match_classes,
)
from fer_edge.train.evaluation.metrics import Report

Predict = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
CHECKPOINT = ".safetensors"
_BATCH_SIZE = 256


@dataclass(frozen=True)
class Model:
    """A checkpoint under PyTorch or an exported file under its engine.

    Attributes:
        name: path or name, as reports show it.
        spec: the model's spec.
        predict: maps uint8 faces `[N, S, S]` to float32 logits `[N, labels]`.
        size: bytes of its files; 0 if it has none.
        sha256: of its files; empty if it has none.
        engine, device: see `Report`.
    """

    name: str
    spec: ModelSpec
    predict: Predict
    size: int = 0
    sha256: str = ""
    engine: str = "pytorch"
    device: str = "cpu"


def open_model(
    path: Path,
    *,
    backend: str = "auto",
    device: str = "cpu",
    threads: int = 0,
    verify: bool = True,
) -> Model:
    """Open a checkpoint (PyTorch on the CPU) or an exported file (its engine).

    Args:
        path: `.safetensors`, `.onnx`, `.xml` or `.ncnn.param`.
        backend, device, threads, verify: see `open_backend`; for exported files only.

    Raises:
        ModelError, SpecError, DeviceError, MissingExtraError: this machine can't run the file.
    """
    if model_files.model_type(path) == CHECKPOINT:
        if backend != "auto" or device not in ("auto", "cpu"):
            raise DeviceError(
                f"{path}: a checkpoint runs under PyTorch on the CPU: --backend and --device are "
                "for exported files"
            )
        from fer_edge.train.networks import checkpoint

        loaded = checkpoint.load(path)
        return Model(str(path), loaded.spec, loaded.predict, *_size_and_sha256(path))
    model_files.check_bundled(path)
    engine = open_backend(path, backend=backend, device=device, threads=threads, verify=verify)
    size, sha256 = _size_and_sha256(path)
    device = "cpu" if device == "auto" else device
    return Model(str(path), engine.spec, engine, size, sha256, engine.engine, device)


def _size_and_sha256(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    for file in model_files.model_files(path):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return model_files.model_size(path), digest.hexdigest()


def match_labels(
    data: FaceData, faces: Faces, spec: ModelSpec, model: str, class_map: ClassMap | None = None
) -> Faces:
    """Renumber the labels of faces of `data` in the order of the spec of the model named `model`.

    Synonyms are one label, as `ClassMap.find_label` knows them; classes that `class_map` leaves out
    must have no face.

    Raises:
        ConfigError: the map names an unknown label.
        DataError: the model doesn't know a label of the data, or its faces have another size.
    """
    classes = class_map or ClassMap()
    match_classes(data.path, data.labels, {model: spec}, classes)
    if len(faces) and faces.pixels.shape[1] != spec.input.side:
        raise DataError(
            f"{data.path}: faces of {faces.pixels.shape[1]} px, {model} takes {spec.input.side}"
        )
    found = [classes.find_label(label, spec.labels) for label in data.labels]
    numbers = np.array([-1 if number is None else number for number in found], np.int64)
    return Faces(faces.pixels, numbers[faces.labels], faces.rows)


def match_all_labels(data: FaceData, spec: ModelSpec, model: str) -> FaceData:
    """Renumber the labels of every split; see `match_labels`."""
    splits = {name: match_labels(data, faces, spec, model) for name, faces in data.splits.items()}
    return replace(data, labels=spec.labels, splits=splits)


def predict_all(predict: Predict, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Predict any number of faces, uint8 `[N, S, S]`, in batches; float32 logits `[N, labels]`."""
    return np.concatenate(
        [predict(pixels[i : i + _BATCH_SIZE]) for i in range(0, len(pixels), _BATCH_SIZE)]
    )


def predict_probabilities(model: Model, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Predict any number of faces, uint8 `[N, S, S]`; float32 `[N, labels]`, at its temperature.

    Raises:
        ModelError: the model returned a NaN or an infinite logit.
    """
    logits = predict_all(model.predict, pixels)
    if not np.isfinite(logits).all():
        raise ModelError(f"{model.name}: the model returns logits that are NaN or infinite")
    return softmax(logits, model.spec.temperature).astype(np.float32)


def evaluate(
    model: Model, faces: Faces, split: str, left_out: LeftOut | None = None, scope: str = ""
) -> Report:
    """Predict every face of a split and report the metrics.

    Args:
        model: an opened model.
        faces: the split without the images that `left_out` counts, labels numbered as in the
            model's spec.
        split: its name.
        left_out, scope: see `EvaluationData`.

    Raises:
        DataError: `faces` is empty.
        ModelError: the model returned a NaN or an infinite logit.
    """
    if not len(faces):
        raise DataError(f"no face of {split} is left to evaluate {model.name} on")
    return Report(
        model.name,
        split,
        model.spec.labels,
        faces.labels,
        predict_probabilities(model, faces.pixels),
        left_out or LeftOut(),
        scope,
        size=model.size,
        model_sha256=model.sha256,
        data_sha256=faces.sha256(),
        engine=model.engine,
        device=model.device,
    )


def evaluate_file(
    path: Path,
    data: Path,
    split: Split = "test",
    *,
    backend: str = "auto",
    device: str = "cpu",
    threads: int = 0,
    class_map: ClassMap | None = None,
    find_faces: bool = False,
    detector: str | Path | None = None,
    skip_bad: bool = False,
    without_duplicates: bool = False,
) -> Report:
    """Open a model, read a data set and evaluate the model on one split of it.

    Args:
        path, backend, device, threads: see `open_model`.
        data, split, class_map, skip_bad, without_duplicates: see `load_evaluation_data`.
        find_faces, detector: whether faces are looked for in photographs; see `face_finder`.

    Raises:
        FerEdgeError, OSError: see `open_model`, `load_evaluation_data`, `match_labels`, `evaluate`.
    """
    model = open_model(path, backend=backend, device=device, threads=threads)
    loaded = load_evaluation_data(
        data,
        split,
        {model.name: model.spec},
        class_map=class_map,
        read_face=face_finder(model.spec, detector) if find_faces else None,
        skip_bad=skip_bad,
        without_duplicates=without_duplicates,
    )
    faces = match_labels(loaded.data, loaded.faces, model.spec, model.name, class_map)
    return evaluate(model, faces, split, loaded.left_out, loaded.scope)
