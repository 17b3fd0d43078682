"""What a run trains on, by content: a run is resumed with the same, wherever it lies by then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fer_edge.atomic import write_text
from fer_edge.documents import read_json
from fer_edge.errors import ConfigError, DataError
from fer_edge.schema import parse
from fer_edge.train.config import VALUES_BEFORE, TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.unlabelled import UnlabelledFaces
from fer_edge.train.networks.checkpoint import sha256
from fer_edge.train.provenance import find_initial_file
from fer_edge.train.run_folder import CONFIG_FILE, INPUTS_FILE, PATH_SETTINGS

_ANEW = "train anew, in another folder"


@dataclass(frozen=True)
class RunInputs:
    """The inputs of a run, written to `inputs.json` in its folder.

    Attributes:
        labels: of the data, in the order of their numbers.
        faces: number of faces by split.
        sha256: of the pixels and labels by split, as `Faces.sha256` computes it.
        files: SHA-256 of the other files by the setting that names them, as "teachers[0]", and of
            the pixels of the unlabelled faces.
        settings: the other settings, each as JSON.
    """

    labels: tuple[str, ...]
    faces: dict[str, int]
    sha256: dict[str, str]
    files: dict[str, str]
    settings: dict[str, str]

    def save(self, output: Path) -> None:
        """Write `inputs.json`."""
        write_text(output / INPUTS_FILE, json.dumps(asdict(self), indent=2) + "\n")

    def check_resumed(self, output: Path, config: TrainConfig, *, has_begun: bool) -> None:
        """Compare these inputs with those that the run in `output` started with.

        Args:
            output: the run's folder.
            config: its settings, as `describe_inputs` got them.
            has_begun: whether an epoch was finished: the initial weights are not used any more.

        Raises:
            DataError: the data differ.
            ConfigError: another file or a setting differs, or `inputs.json` can't be read.
        """
        path = output / INPUTS_FILE
        try:
            before = parse(RunInputs, read_json(path), path.name, unknown="reject")
        except FileNotFoundError:
            raise ConfigError(
                f"{path} is missing, so it isn't known what the run was trained on: {_ANEW}"
            ) from None
        except ValueError as error:
            raise ConfigError(f"{path}: damaged ({error}): {_ANEW}") from None
        defaults = asdict(TrainConfig(config.data))
        if config.teachers and not config.qat_from and "teacher_weight" not in before.settings:
            raise ConfigError(
                f"{output}: the run's teachers count otherwise in this version: {_ANEW}"
            )
        for name, value in self.settings.items():
            old = _complete(name, before.settings.get(name), defaults[name])
            if old != value:
                raise ConfigError(
                    f"{output / CONFIG_FILE}: {name} is {value}, but was {old} when the run "
                    f"started: restore it, or {_ANEW}"
                )
        for difference in (
            _compare_labels(before.labels, self.labels),
            _compare_counts(before.faces, self.faces),
            _compare_faces(before.sha256, self.sha256),
        ):
            if difference:
                raise DataError(
                    f"{config.data}: not the data that the run in {output} started with: "
                    f"{difference}; restore it, or {_ANEW}"
                )
        paths = _find_files(config)
        if config.unlabelled:
            paths["unlabelled"] = Path(config.unlabelled)
        for name in before.files.keys() | self.files.keys():
            is_needed = name != "weights" or not has_begun
            if is_needed and before.files.get(name) != self.files.get(name):
                raise ConfigError(
                    f"{paths.get(name, name)}: not what the run in {output} started with as "
                    f"{name}: restore it, or {_ANEW}"
                )


def _complete(name: str, value: str | None, default: object) -> str:
    """A setting as JSON, with what the version that wrote it did not have."""
    if value is None:
        before = VALUES_BEFORE.get(name, default)
        is_table = isinstance(before, dict) and isinstance(default, dict)
        return json.dumps({**default, **before} if is_table else before)  # type: ignore[dict-item]
    if isinstance(default, dict):
        with suppress(ValueError):  # it was edited: no setting is like it
            if isinstance(own := json.loads(value), dict):
                return json.dumps({**default, **own})
    return value


def describe_inputs(
    config: TrainConfig,
    data: FaceData,
    unlabelled: UnlabelledFaces | None = None,
    *,
    has_begun: bool,
) -> RunInputs:
    """Compute the digests of the data and of the files that the settings name.

    Args:
        config: the settings as `config.json` holds them.
        data: labelled faces.
        unlabelled: faces without labels, if there are any.
        has_begun: as in `check_resumed`; the initial weights may be gone by then.

    Raises:
        OSError: a file can't be read.
    """
    files = _find_files(config)
    if has_begun:
        files.pop("weights", None)
    digests = {name: sha256(path) for name, path in files.items()}
    if unlabelled:
        digests["unlabelled"] = unlabelled.sha256()
    return RunInputs(
        data.labels,
        data.counts(),
        {name: faces.sha256() for name, faces in data.splits.items()},
        digests,
        {k: json.dumps(v) for k, v in asdict(config).items() if k not in PATH_SETTINGS},
    )


def _find_files(config: TrainConfig) -> dict[str, Path]:
    """The files besides the data, by setting."""
    found = {
        "weights": None if config.qat_from else find_initial_file(config),
        "ferplus": Path(config.ferplus) if config.ferplus else None,
        "qat_from": Path(config.qat_from) if config.qat_from else None,
        "teacher_logits": Path(config.teacher_logits) if config.teacher_logits else None,
        **{f"teachers[{i}]": Path(name) for i, name in enumerate(config.teachers)},
    }
    return {name: path for name, path in found.items() if path is not None}


def _compare_labels(before: tuple[str, ...], now: tuple[str, ...]) -> str:
    if gone := [label for label in before if label not in now]:
        return f"the label {gone[0]!r} is gone"
    if new := [label for label in now if label not in before]:
        return f"the label {new[0]!r} is new"
    return "" if before == now else f"the labels are in another order ({', '.join(now)})"


def _compare_counts(before: Mapping[str, int], now: Mapping[str, int]) -> str:
    for split in (*before, *now):
        if (old := before.get(split, 0)) != (new := now.get(split, 0)):
            return f"{new:,} faces in {split}, not {old:,}"
    return ""


def _compare_faces(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    changed = [split for split in now if before.get(split) != now[split]]
    return f"the pixels or labels of {' and '.join(changed)} changed" if changed else ""
