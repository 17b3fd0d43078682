from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from fer_edge.errors import ConfigError
from fer_edge.runtime.formats.model_files import bundled
from fer_edge.train.run_folder import (
    CONFIG_FILE,
    MODEL_FILE,
    find_checkpoint,
    is_run_folder,
    lock_run,
    resolve_config,
)


def test_a_run_folder_has_settings_and_names_its_checkpoint(tmp_path: Path) -> None:
    assert not is_run_folder(tmp_path)
    (tmp_path / CONFIG_FILE).write_text("{}")
    assert is_run_folder(tmp_path)
    assert find_checkpoint(tmp_path) == tmp_path / MODEL_FILE
    assert find_checkpoint(tmp_path / "own.safetensors") == tmp_path / "own.safetensors"
    assert find_checkpoint(None) == find_checkpoint("base") == bundled("checkpoint")
    assert find_checkpoint("base", "model") == bundled("model")


def test_a_run_is_resumed_with_its_own_recipe(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"data": "d"}')
    with pytest.raises(ConfigError, match=r"--recipe: a run is resumed with its own settings"):
        resolve_config({}, tmp_path, resume=True, recipe={"epochs": 3})


def test_a_run_that_is_not_there_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run to resume"):
        resolve_config({}, tmp_path, resume=True)


def test_paths_are_absolute_names_of_weights_are_not_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, object] = {
        "data": Path("faces"),
        "teachers": ("one.safetensors", Path("two.safetensors"), "base"),
        "weights": "none",
    }
    config = resolve_config(given, tmp_path, resume=False)
    assert config.data == str(tmp_path / "faces")
    own = tuple(str(tmp_path / f"{n}.safetensors") for n in ("one", "two"))
    assert config.teachers == (*own, str(bundled("checkpoint")))
    assert config.weights == "none"
    with pytest.raises(ConfigError, match=r"--weights .*own.pth: no such file, and none of base"):
        resolve_config({**given, "weights": "own.pth"}, tmp_path, resume=False)
    known = "none of base, small, imagenet, none; bundled is base now"
    with pytest.raises(ConfigError, match=known):
        resolve_config({**given, "weights": "bundled"}, tmp_path, resume=False)
    (tmp_path / "own.pth").touch()
    config = resolve_config({**given, "weights": "own.pth"}, tmp_path, resume=False)
    assert config.weights == str(tmp_path / "own.pth")


@pytest.mark.parametrize("name", ["data", "weights", "ferplus", "teachers", "qat_from"])
def test_a_path_of_a_wrong_type_in_a_recipe_is_named(tmp_path: Path, name: str) -> None:
    for value in (3, ["\0"], [[3]], {"a": 1}, "\0"):
        with pytest.raises(ConfigError, match=rf"settings\.{name}"):
            resolve_config({}, tmp_path, resume=False, recipe={"data": "d", name: value})


def test_a_path_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    for value in (os.fsdecode(b"caf\xe9"), Path(os.fsdecode(b"caf\xe9/faces"))):
        with pytest.raises(ConfigError, match="not UTF-8, which training needs: rename it"):
            resolve_config({"data": value}, tmp_path, resume=False)
        with pytest.raises(ConfigError, match="not UTF-8"):
            resolve_config({"data": "d"}, tmp_path / value, resume=False)


def test_a_folder_holds_one_training_at_a_time(tmp_path: Path) -> None:
    def hold() -> None:
        with lock_run(tmp_path):
            pass

    with lock_run(tmp_path), pytest.raises(ConfigError, match="another process trains in it"):
        hold()
    hold()


def test_a_mount_that_locks_only_what_is_open_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS."""
    lock = fcntl.flock

    def lock_if_writable(descriptor: int, operation: int) -> None:
        if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        lock(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", lock_if_writable)
    with (
        lock_run(tmp_path / "run"),
        pytest.raises(ConfigError, match="another process trains"),
        lock_run(tmp_path / "run"),
    ):
        pass
    assert not (tmp_path / "run").exists()


def test_relative_paths_of_a_recipe_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = resolve_config({}, tmp_path, resume=False, recipe={"data": "faces"})
    assert config.data == str(tmp_path / "faces")


def test_what_a_resumed_run_reads_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"data": "d", "weights": "/w.pth"}')
    config = resolve_config({"data": Path("/e"), "weights": Path("/v.pth")}, tmp_path, resume=True)
    assert (config.data, config.weights) == ("/e", "/v.pth")
    with pytest.raises(ConfigError, match=r"weights is /w\.pth .*, not none"):
        resolve_config({"weights": "none"}, tmp_path, resume=True)
