"""One network whose weights are the mean of several networks'.

Of networks that were trained on from the same weights, with other seeds or settings, the mean is
often better than each, at the price of one (Wortsman et al., arXiv:2203.05482).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fer_edge.errors import ConfigError
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.evaluation.evaluate import match_all_labels
from fer_edge.train.finalize import finish
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.provenance import seen


def average(paths: Sequence[Path], data: FaceData) -> Checkpoint:
    """The mean of float networks' weights and batch-norm figures, calibrated on validation.

    Args:
        paths: two checkpoints or more.
        data: what they were trained on; its validation split sets the temperature.

    Raises:
        ConfigError: there are fewer than two, or they differ in more than their weights.
        DataError: the data has other labels, another side or no val split.
        ModelError, SpecError: a checkpoint can't be read.
    """
    if len(paths) < 2:
        raise ConfigError("an average is of two checkpoints or more")
    loaded = [checkpoints.load(path) for path in paths]
    first = loaded[0]
    for path, other in zip(paths, loaded, strict=True):
        for name in ("architecture", "labels", "input"):
            if getattr(other.spec, name) != getattr(first.spec, name):
                raise ConfigError(
                    f"{path}: not the same {name} as {paths[0]}: their weights have no mean"
                )
    data = match_all_labels(data, first.spec, str(paths[0]))
    states = [one.model.state_dict() for one in loaded]
    first.model.load_state_dict({name: _mean([s[name] for s in states]) for name in states[0]})
    history = seen(first.spec.data, data)
    return finish(first.model, data, history, architecture=first.spec.architecture, storage="fp16")


def _mean(tensors: list[Tensor]) -> Tensor:
    if not tensors[0].is_floating_point():  # how many batches a batch norm has seen
        return torch.stack(tensors).amax(0)
    return torch.stack(tensors).double().mean(0).to(tensors[0].dtype)
