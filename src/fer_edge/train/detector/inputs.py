"""What a detector's run trains on, by content: it is resumed with the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fer_edge.atomic import write_text
from fer_edge.documents import read_json
from fer_edge.errors import ConfigError, DataError
from fer_edge.schema import parse
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.labels import Labels
from fer_edge.train.networks.checkpoint import sha256
from fer_edge.train.run_folder import CONFIG_FILE, INPUTS_FILE, find_run_checkpoint

CHECKPOINTS = ("weights", "qat_from")
"""Settings that name a checkpoint."""
PATHS = ("photographs", "labels", *CHECKPOINTS)
"""Settings that name files or folders; a resumed run may find these elsewhere."""
_FREE = (*PATHS, "workers")
"""Settings that a resumed run may change."""
_ANEW = "train anew, in another folder"


def describe_inputs(config: DetectorConfig, labels: Labels) -> dict[str, Any]:
    """Digests of the labels, the photographs and the initial checkpoints, and the settings.

    Raises:
        DataError: a labelled photograph is missing.
        OSError: a file can't be read.
    """
    digest = hashlib.sha256()
    folder = Path(config.photographs)
    for photograph in labels.photographs:
        try:
            content = (folder / photograph.name).read_bytes()
        except FileNotFoundError as error:
            raise DataError(
                f"{error.filename}: there is no such photograph: label them again"
            ) from None
        digest.update(hashlib.sha256(content).digest())
    settings = {name: value for name, value in asdict(config).items() if name not in _FREE}
    given = {name: getattr(config, name) for name in CHECKPOINTS}
    return {
        "labels": labels.sha256,
        "photographs": digest.hexdigest(),
        **{name: sha256(Path(path)) if path else None for name, path in given.items()},
        "settings": settings,
    }


def save_inputs(inputs: dict[str, Any], output: Path) -> None:
    """Write `inputs.json` to a run's folder."""
    write_text(output / INPUTS_FILE, json.dumps(inputs, indent=2) + "\n")


def check_inputs(inputs: dict[str, Any], output: Path) -> None:
    """Compare inputs with those that the run in `output` started with.

    Raises:
        ConfigError: they differ, or `inputs.json` can't be read.
    """
    path = output / INPUTS_FILE
    try:
        before = read_json(path)
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(f"{path}: missing or damaged ({error}): {_ANEW}") from None
    for name, value in inputs.items():
        if not isinstance(before, dict) or before.get(name) != value:
            raise ConfigError(
                f"{path}: {name}: not what the run started with: restore it, or {_ANEW}"
            )


def resolve_detector_config(
    given: dict[str, object], output: Path, *, resume: bool
) -> DetectorConfig:
    """Make the settings of a new run, or read those of the run that is resumed.

    Args:
        given: the settings that the user chose; paths become absolute, and the folder of a run its
            checkpoint.
        output: the run's folder.
        resume: whether the run in `output` is resumed; only paths and workers may then differ.

    Raises:
        ConfigError: a setting is wrong or contradicts the resumed run's, or there is no run.
    """
    given = {
        name: str(_resolve(name, Path(str(value)))) if name in PATHS and value else value
        for name, value in given.items()
    }
    path = output / CONFIG_FILE
    before: dict[str, object] = {}
    if resume:
        if not path.exists():
            raise ConfigError(f"{output}: no run to resume: it has no {path.name}")
        before = asdict(DetectorConfig.load(path))
        for name, value in given.items():
            if name not in _FREE and before[name] != value:
                raise ConfigError(
                    f"{name} is {before[name]} in {path}, not {value}: "
                    "a run is resumed with its own settings"
                )
    try:
        return parse(DetectorConfig, {**before, **given}, "settings", unknown="reject")
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _resolve(name: str, path: Path) -> Path:
    return (find_run_checkpoint(path) if name in CHECKPOINTS else path).resolve()
