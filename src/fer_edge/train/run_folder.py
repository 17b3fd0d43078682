"""A run's folder: its settings and its checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from fer_edge.atomic import try_lock
from fer_edge.errors import ConfigError
from fer_edge.runtime.formats.model_files import DEFAULT_MODEL, FileKind, resolve_model
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.schema import parse
from fer_edge.train.config import INITIAL_WEIGHTS, TrainConfig
from fer_edge.train.recipe_files import read_recipe

CONFIG_FILE = "config.json"
INPUTS_FILE = "inputs.json"
"""What the run was trained on, by content: see `RunInputs`."""
MODEL_FILE = "model.safetensors"
VIEWS_FOLDER = "teacher_views"
LOCK_FILE = "lock"
"""In the folder of a run while a process trains in it."""
PATH_SETTINGS = frozenset(
    (
        "data",
        "ferplus",
        "qat_from",
        "teacher_logits",
        "teachers",
        "unlabelled",
        "views_folder",
        "weights",
    )
)
"""Settings that name files or folders; a resumed run may find these elsewhere."""


def is_run_folder(path: Path) -> bool:
    """Whether a training run has written its settings to the folder `path`."""
    return (path / CONFIG_FILE).is_file()


@contextmanager
def lock_run(output: Path) -> Iterator[None]:
    """Hold a run's folder for this process; it is made if missing, and removed if it stays empty.

    Raises:
        ConfigError: another process trains in it.
    """
    is_new = not output.exists()
    path = output / LOCK_FILE
    descriptor = _open_locked(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        if is_new:
            with suppress(OSError):  # it holds a run
                output.rmdir()


def _open_locked(path: Path) -> int:
    """Lock a file, which is made, with its folder, if missing."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # for writing: NFS locks no file that is open for reading alone
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:  # another process removed its new folder just now
            continue
        if not try_lock(descriptor):
            os.close(descriptor)
            raise ConfigError(f"{path.parent}: another process trains in it: wait for its end")
        # the process that held the lock may have removed the file before
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)


def find_checkpoint(given: str | Path | None, kind: FileKind = "checkpoint") -> Path:
    """Return the path of a model's file: in a run's folder, the checkpoint.

    Args:
        given: a folder or a file, or the name of a model in the package; None: base.
        kind: which file of a model in the package.

    Raises:
        ModelError: as `resolve_model`.
    """
    return find_run_checkpoint(resolve_model(given, kind))


def find_run_checkpoint(path: Path) -> Path:
    """The checkpoint in a run's folder, or the file itself."""
    return path / MODEL_FILE if path.is_dir() else path


def resolve_config(
    given: dict[str, object], output: Path, *, resume: bool, recipe: dict[str, object] | None = None
) -> TrainConfig:
    """Make the settings of a new run, or read those of the run that is resumed.

    Args:
        given: the settings that the user chose; they override all others. Paths become absolute,
            because a run may be resumed from another folder.
        output: the run's folder.
        resume: whether the run in `output` is resumed.
        recipe: settings that override the defaults, as `read_recipe` returns them.

    Raises:
        ConfigError: a setting is wrong, there is no run to resume, or a setting contradicts the
            resumed run's. A path may differ: the content of what it names is compared later.
    """
    _check_utf8(output.absolute())
    path = output / CONFIG_FILE
    given = {name: _make_absolute(name, value) for name, value in given.items()}
    if not resume:
        own = {name: _make_absolute(name, value) for name, value in (recipe or {}).items()}
        given = {**own, **given}
        if _is_path(given.get("qat_from")):
            given = {**read_recipe("qat"), **given, **_inherit_from_float(given)}
        try:
            config = parse(TrainConfig, given, "settings", unknown="reject")
        except ValueError as error:
            raise ConfigError(str(error)) from None
        if config.weights not in INITIAL_WEIGHTS and not Path(config.weights).is_file():
            known = ", ".join(INITIAL_WEIGHTS)
            renamed = Path(config.weights).name == "bundled"
            hint = f"; bundled is {DEFAULT_MODEL} now" if renamed else ""
            raise ConfigError(
                f"--weights {config.weights}: no such file, and none of {known}{hint}"
            )
        return config
    if not path.exists():
        raise ConfigError(f"{output}: no run to resume: it has no {path.name}")
    if recipe:
        raise ConfigError(f"--recipe: a run is resumed with its own settings, those in {path}")
    config = TrainConfig.load(path)
    is_own_file = not {config.weights, given.get("weights")} & set(INITIAL_WEIGHTS)
    moving = PATH_SETTINGS if is_own_file else PATH_SETTINGS - {"weights"}
    moved: dict[str, Any] = {name: value for name, value in given.items() if name in moving}
    for name, value in given.items():
        if name not in moved and getattr(config, name) != value:
            raise ConfigError(
                f"{name} is {getattr(config, name)} in {path}, not {value}: "
                "a run is resumed with its own settings"
            )
    return replace(config, **moved)


def _make_absolute(name: str, value: Any) -> object:
    """Return the value of a field; paths as absolute strings."""
    if isinstance(value, list | tuple):
        return tuple(_make_absolute(name, one) for one in value)
    if name not in PATH_SETTINGS or not _is_path(value):
        return value  # also one of a wrong type, which `parse` names
    if name == "weights" and value in INITIAL_WEIGHTS:
        return value
    path = find_checkpoint(value) if name in ("qat_from", "teachers") else Path(value)
    return str(_check_utf8(path.resolve()))


def _check_utf8(path: Path) -> Path:
    """Refuse a path that neither TensorBoard nor a JSON file of settings can hold."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{path}: not UTF-8, which training needs: rename it") from None
    return path


def _is_path(value: object) -> bool:
    return isinstance(value, str | Path) and bool(value) and "\0" not in str(value)


def _inherit_from_float(given: dict[str, object]) -> dict[str, object]:
    """Return the settings that a QAT run takes from its float checkpoint."""
    source = str(given["qat_from"])
    spec = read_spec(Path(source))
    inherited: dict[str, object] = {"architecture": spec.architecture, "side": spec.input.side}
    for name, value in inherited.items():
        if given.get(name, value) != value:
            raise ConfigError(f"{source}: its {name} is {value}, not {given[name]}")
    for name in ("weights", "network_side", "mean", "std"):
        if name in given:
            raise ConfigError(f"{name} cannot be set with --qat: it is that of {source}")
    return inherited
