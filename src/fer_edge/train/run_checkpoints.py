"""The checkpoints of a run: written whole, and found again after the run was killed."""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from fer_edge.atomic import sync, whole_file
from fer_edge.errors import ModelError
from fer_edge.train.callbacks import ACCURACY
from fer_edge.train.distributed import is_rank_zero
from fer_edge.train.networks.pixel_model import PixelModel

FOLDER = "checkpoints"
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
_KEYS = frozenset(("callbacks", "epoch", "global_step", "loops", "optimizer_states", "state_dict"))

_BEST_KEY = "best_accuracy"
"""In a checkpoint, whatever the metric is."""

_LOG = logging.getLogger(__name__)


class RunCheckpoints(Checkpoint):
    """Saves the last epoch, the one before it, and the one with the best metric of validation.

    Attributes:
        metric: name of that metric, in [0, 1]: the validation accuracy, or another one.
        best: the best epoch's metric; -1 before the first epoch.
    """

    def __init__(self, folder: Path, metric: str = ACCURACY) -> None:
        self.folder = folder
        self.metric = metric
        self.best = -1.0

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: Any) -> None:
        value = float(trainer.callback_metrics[self.metric])
        if value > self.best:
            self.best = value
            trainer.save_checkpoint(self.folder / BEST)
        trainer.save_checkpoint(self.folder / LAST)

    def state_dict(self) -> dict[str, Any]:
        return {_BEST_KEY: self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        path = self.folder / BEST
        try:
            read_run_checkpoint(path)
        except FileNotFoundError:
            _LOG.warning("%s is missing: the best epoch from here on replaces it", path)
        except ModelError as error:
            _LOG.warning("%s: the best epoch from here on replaces it", error)
        else:
            self.best = state_dict[_BEST_KEY]

    def load_best(self) -> dict[str, Any]:
        """The state of the best epoch; of the last one, if the best is lost.

        Raises:
            ModelError: neither can be read.
        """
        return read_run_checkpoint(self.folder / (BEST if self.best >= 0 else LAST))


class WholeFileIO(TorchCheckpointIO):
    """Writes a checkpoint beside its final name and renames it.

    Lightning's own writes it to the folder for temporary files and copies it: if that is cut short,
    the checkpoint before it is lost as well.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        assert storage_options is None
        path = Path(path)
        content = io.BytesIO()  # to a file, torch reports a full disk as an "enforce fail"
        torch.save(checkpoint, content)
        with whole_file(path) as beside:
            beside.write_bytes(content.getbuffer())
            sync(beside)  # before the last one loses its name
            if path.name == LAST and path.exists():
                path.replace(path.with_name(PREVIOUS))

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        assert map_location is None or callable(map_location)
        assert weights_only
        return read_run_checkpoint(Path(path))


@dataclass(frozen=True)
class ResumePoint:
    """The checkpoint that a run is resumed from.

    Attributes:
        path: its file.
        epochs: number of finished epochs.
        weights: the network's, by the names of its state.
    """

    path: Path
    epochs: int
    weights: Mapping[str, Tensor]

    def check_network(self, model: PixelModel) -> None:
        """Check that the weights are this network's.

        Raises:
            ModelError: they are another's.
        """
        found = {name: weight.shape for name, weight in self.weights.items()}
        if found != {name: tensor.shape for name, tensor in model.state_dict().items()}:
            raise ModelError(
                f"{self.path}: of another network than the settings in the run's folder say"
            )


def find_resume_point(output: Path) -> ResumePoint | None:
    """Find the checkpoint that the run in `output` is resumed from; None: no epoch was finished.

    It is the last one that can be read: the last epoch, the one before it, or the best.

    Raises:
        ModelError: there are checkpoints, but none can be read.
    """
    damaged: list[ModelError] = []
    for name in (LAST, PREVIOUS, BEST):
        path = output / FOLDER / name
        try:
            state = read_run_checkpoint(path)
        except FileNotFoundError:
            continue
        except ModelError as error:
            damaged.append(error)
            continue
        for one in damaged if is_rank_zero() else ():
            _LOG.warning("%s: going on from %s", one, path.name)
        prefix = "model."  # of the Lightning module
        weights = {k: v for k, v in state["state_dict"].items() if k.startswith(prefix)}
        return ResumePoint(
            path, state["epoch"] + 1, {k.removeprefix(prefix): v for k, v in weights.items()}
        )
    if damaged:
        raise ModelError(
            f"{damaged[0]}, and no other checkpoint there can be read: remove the folder "
            f"{output / FOLDER} to train from the first epoch"
        )
    return None


def read_run_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a run to the CPU, with every checksum in the file compared.

    Raises:
        ModelError: it is damaged, or isn't a run's.
        FileNotFoundError: it isn't there.
        OSError: it can't be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (wrong := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"wrong checksum of {wrong}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
        raise ModelError(f"{path}: damaged ({reason})") from None
    if not isinstance(state, dict) or not state.keys() >= _KEYS:
        raise ModelError(f"{path}: not a checkpoint of a run")
    return state
