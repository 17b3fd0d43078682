from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from fer_edge.errors import ModelError
from fer_edge.train.run_checkpoints import (
    BEST,
    FOLDER,
    LAST,
    PREVIOUS,
    RunCheckpoints,
    WholeFileIO,
    find_resume_point,
    read_run_checkpoint,
)
from tests.support.networks import make_network
from tests.support.specs import make_spec


def make_state(epoch: int, **weights: torch.Tensor) -> dict[str, Any]:
    return {
        "callbacks": {}, "epoch": epoch, "global_step": 3, "loops": {}, "optimizer_states": [],
        "state_dict": {"model.a": torch.full((1000,), epoch + 1.0), **weights},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The checkpoints of a run of three epochs, of which the first was the best."""
    folder = tmp_path / FOLDER
    WholeFileIO().save_checkpoint(make_state(0), folder / BEST)
    for epoch in range(3):
        WholeFileIO().save_checkpoint(make_state(epoch), folder / LAST)
    return folder


def overwrite(path: Path, start: int, content: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:start] + content + whole[start + len(content) :])


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "zeros at the start": lambda path: overwrite(path, 0, bytes(64)),
    "zeros in the weights": lambda path: overwrite(path, path.stat().st_size // 2, bytes(200)),
    "text": lambda path: path.write_text("a note"),
    "a pointer": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
    "another document": lambda path: torch.save({"weights": torch.zeros(3)}, path),
    "a list": lambda path: torch.save([1, 2], path),
    "code": lambda path: torch.save(print, path),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    folder: Path, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for left, name, epochs in ((PREVIOUS, LAST, 2), (BEST, PREVIOUS, 1)):
        damage(folder / name)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = find_resume_point(folder.parent)
        assert found is not None
        assert (found.path.name, found.epochs) == (left, epochs)
        assert found.weights["a"].eq(epochs).all()
        if (folder / name).exists():
            assert f"{folder / name}: " in caplog.messages[-1]
            assert caplog.messages[-1].endswith(f": going on from {left}")
            assert "\n" not in caplog.messages[-1]
    damage(folder / BEST)
    if not (folder / BEST).exists():
        assert find_resume_point(folder.parent) is None
        return
    with pytest.raises(ModelError, match=r"last\.ckpt.* remove the folder .*checkpoints") as caught:
        find_resume_point(folder.parent)
    assert "\n" not in str(caught.value)


def test_what_was_being_written_leaves_the_others_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("fer_edge.atomic.os.fsync", fail)
    with pytest.raises(OSError, match=r"No space left.*last\.ckpt"):
        WholeFileIO().save_checkpoint(make_state(3), folder / LAST)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_nothing_is_written_to_the_folder_for_temporary_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", None)
    WholeFileIO().save_checkpoint(make_state(3), folder / LAST)
    assert read_run_checkpoint(folder / LAST)["epoch"] == 3


def test_the_best_epoch_is_replaced_if_it_is_lost(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = RunCheckpoints(folder)
    own.load_state_dict({"best_accuracy": 0.7})
    assert own.best == 0.7
    assert own.load_best()["epoch"] == 0
    for damage, message in (
        (DAMAGE["cut"], r"best\.ckpt: damaged \(.*\): the best epoch from here on replaces it"),
        (DAMAGE["gone"], r"best\.ckpt is missing: the best epoch from here on replaces it"),
    ):
        damage(folder / BEST)
        own = RunCheckpoints(folder)
        own.load_state_dict({"best_accuracy": 0.7})
        assert own.best == -1
        assert own.load_best()["epoch"] == 2
        assert caplog.records[-1].getMessage().startswith(str(folder / BEST))
        assert re.search(message, caplog.text)


def test_a_checkpoint_of_another_network_is_named(folder: Path) -> None:
    found = find_resume_point(folder.parent)
    assert found is not None
    with pytest.raises(ModelError, match=r"last\.ckpt: of another network"):
        found.check_network(make_network("tiny", make_spec().input))
