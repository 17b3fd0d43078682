"""What a run begins with: whose weights, which data, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fer_edge.runtime.formats.model_files import bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import DataSpec, ModelSpec
from fer_edge.train.config import TrainConfig
from fer_edge.train.data import duplicates
from fer_edge.train.data.dataset import FaceData

FILE = "start.json"
"""In a run's folder: the spec of the checkpoint that it began with, where it began with one."""
_THEN = ", then "
_COPIES = 0.05
_MOST = 20_000
"""Faces of train up to which copies are looked for: a few seconds."""


def first_checkpoint(config: TrainConfig) -> Path | None:
    """The fer-edge checkpoint whose weights a run begins with; None: they are of another kind."""
    if config.weights == "bundled":
        return bundled("checkpoint")
    return Path(config.weights) if config.weights.endswith(".safetensors") else None


def origin(config: TrainConfig, output: Path) -> ModelSpec | None:
    """The spec of `first_checkpoint`, in the words of the run's folder where it has them already.

    Raises:
        ModelError, SpecError: it can't be read.
    """
    kept = output / FILE
    if kept.exists():
        return ModelSpec.from_json(kept.read_text("utf-8"), str(kept))
    path = first_checkpoint(config)
    return None if path is None else read_spec(path)


def seen(before: DataSpec | None, data: FaceData) -> DataSpec:
    """All that weights were trained on, one after the other, with the counts of the last."""
    if before is None:
        return DataSpec(data.name, data.licence, data.counts())
    names = [name for name in before.name.split(_THEN) if name != data.name]
    licences = dict.fromkeys([*before.licence.split("; "), data.licence])
    return DataSpec(_THEN.join([*names, data.name]), "; ".join(licences), data.counts())


def words(data: FaceData, first: ModelSpec | None) -> Iterator[str]:
    """What somebody who starts a run should know, a line each."""
    counts = ", ".join(f"{split} {n:,}" for split, n in data.counts().items())
    cut = f"; {' and '.join(data.derived_splits)} taken from train" if data.derived_splits else ""
    yield f"{data.name}: {len(data.labels)} labels; {counts} faces{cut}"
    if first is not None and first.labels != data.labels:
        known = [label for label in data.labels if label in first.labels]
        new = [label for label in data.labels if label not in first.labels]
        told = {"as the start knows them": known, "new to it": new}
        yield "labels: " + "; ".join(f"{', '.join(of)} {how}" for how, of in told.items() if of)
    train = data.split("train")
    for split in data.derived_splits if len(train) <= _MOST else ():
        faces = data.split(split)
        copies = int(duplicates.find_near_copies(faces, train).sum())
        if copies > _COPIES * len(faces):
            yield (
                f"{copies} of {len(faces)} {split} faces are near copies of train's: its figures "
                "will look too good, unless you choose the faces of train/, val/ and test/ yourself"
            )
