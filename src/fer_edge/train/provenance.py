"""What a run starts from: its initial checkpoint and its data, for the spec and the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fer_edge.documents import read_json
from fer_edge.errors import ConfigError, SpecError
from fer_edge.runtime.formats.model_files import BUNDLED, bundled
from fer_edge.runtime.formats.spec_reader import has_spec, read_spec
from fer_edge.spec import DataSpec, ModelSpec
from fer_edge.train.config import INITIAL_WEIGHTS, TrainConfig
from fer_edge.train.data import duplicates
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.unlabelled import UnlabelledFaces
from fer_edge.train.evaluation.training_overlap import SEPARATOR
from fer_edge.train.networks.architectures import ARCHITECTURES

INITIAL_SPEC_FILE = "start.json"
"""File in a run's folder with the spec of the checkpoint that the run started from, if any."""
_MAX_COPIES = 0.05
_MAX_FACES = 20_000
"""Faces in train up to which copies are searched for; that takes a few seconds."""


def find_initial_file(config: TrainConfig) -> Path | None:
    """Return the file with the initial weights; None if there is none in the package or of the
    user."""
    if config.weights in BUNDLED:
        return bundled("checkpoint", config.weights)
    return None if config.weights in INITIAL_WEIGHTS else Path(config.weights)


def find_initial_checkpoint(config: TrainConfig) -> Path | None:
    """Return the fer-edge checkpoint with the initial weights; None if they are of another kind.

    Raises:
        ModelError: the file can't be read.
    """
    path = find_initial_file(config)
    if path is None or path.suffix.lower() != ".safetensors":
        return None
    may_be_published = ARCHITECTURES[config.architecture].is_published
    return None if may_be_published and not has_spec(path) else path


def read_initial_spec(config: TrainConfig, resumed: Path | None) -> ModelSpec | None:
    """Read the spec of the initial checkpoint, from the folder of the resumed run if it is there.

    Raises:
        ModelError, SpecError: it can't be read.
        ConfigError: the run's own copy is damaged.
    """
    saved = resumed / INITIAL_SPEC_FILE if resumed else None
    if saved and saved.exists():
        try:
            return ModelSpec.from_document(read_json(saved), saved.name)
        except (ValueError, SpecError) as error:
            reason = str(error).removesuffix(": export the model again")
            raise ConfigError(
                f"{saved}: damaged ({reason}): train anew, in another folder"
            ) from None
    path = find_initial_checkpoint(config)
    return None if path is None else read_spec(path)


def describe_initial_data(config: TrainConfig, initial: ModelSpec | None) -> DataSpec | None:
    """Describe what the initial weights were trained on; None if it isn't known."""
    if initial is not None:
        return initial.data
    if not config.weights_data:
        return None
    return DataSpec(config.weights_data, config.weights_licence, {})


def describe_training_data(
    before: DataSpec | None,
    data: FaceData,
    teachers: Sequence[DataSpec] = (),
    unlabelled: UnlabelledFaces | None = None,
) -> DataSpec:
    """Describe all data that weights were trained on, in order, with the counts of the last.

    Args:
        before: the data of the initial weights, None if it isn't known.
        data: of this run.
        teachers: the data of the run's teachers; what they were taught with is named as well.
        unlabelled: faces that joined train without labels, if there are any.
    """
    joined = {} if before is None else before.unlabelled
    names, licences, known = [data.name], [data.licence], [one.name for one in teachers]
    if before is not None:
        names = [*(name for name in before.name.split(SEPARATOR) if name != data.name), data.name]
        licences = [*before.licence.split("; "), data.licence]
        known = [*before.teachers, *known]
    for one in teachers:
        known += [*one.teachers, *(f"{origin} (without labels)" for origin in one.unlabelled)]
    licences += [own for one in teachers for own in one.licence.split("; ")]
    if unlabelled:
        licences += unlabelled.licence.split("; ")
        joined = {**joined, unlabelled.name: len(unlabelled)}
    return DataSpec(
        SEPARATOR.join(names),
        "; ".join(dict.fromkeys(filter(None, licences))),
        data.counts(),
        tuple(dict.fromkeys(known)),
        joined,
    )


def describe_start(
    data: FaceData, initial: ModelSpec | None, unlabelled: UnlabelledFaces | None = None
) -> Iterator[str]:
    """Yield the lines that a run logs before its first epoch: data, new labels, warnings."""
    counts = ", ".join(f"{split} {n:,}" for split, n in data.counts().items())
    cut = f"; {' and '.join(data.derived_splits)} taken from train" if data.derived_splits else ""
    yield f"{data.name}: {len(data.labels)} labels; {counts} faces{cut}"
    if unlabelled:
        yield f"{unlabelled.name}: {len(unlabelled):,} faces without labels join train"
    if initial is not None and initial.labels != data.labels:
        known = [label for label in data.labels if label in initial.labels]
        new = [label for label in data.labels if label not in initial.labels]
        groups = {"with initial weights": known, "new": new}
        yield "labels: " + "; ".join(f"{', '.join(of)} ({how})" for how, of in groups.items() if of)
    train = data.split("train")
    for split in data.derived_splits if len(train) <= _MAX_FACES else ():
        faces = data.split(split)
        copies = int(duplicates.find_near_copies(faces, train).sum())
        if copies > _MAX_COPIES * len(faces):
            yield (
                f"{copies} of {len(faces)} {split} faces are near copies of faces in train: "
                "figures on them will be too high. Make folders train/, val/ and test/ to choose "
                "the splits yourself"
            )
