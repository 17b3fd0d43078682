"""Average the weights of several networks into one.

If the networks were trained from the same weights with different seeds or settings, their average
is often better than each of them, at the cost of one (Wortsman et al., arXiv:2203.05482).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from fer_edge.errors import ConfigError
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.evaluation.evaluate import match_all_labels
from fer_edge.train.finalize import finalize_float
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.provenance import describe_training_data


def average(paths: Sequence[Path], data: FaceData) -> Checkpoint:
    """Average the weights and batch norm statistics of float networks.

    Args:
        paths: two checkpoints or more.
        data: the data that they were trained on; its validation split sets the temperature.

    Raises:
        ConfigError: there are fewer than two, or they differ in more than their weights.
        DataError: the data has other labels, another side or no val split.
        ModelError, SpecError: a checkpoint can't be read.
    """
    if len(paths) < 2:
        raise ConfigError("an average needs two checkpoints or more")
    loaded = [checkpoints.load(path) for path in paths]
    first = loaded[0]
    for path, other in zip(paths, loaded, strict=True):
        for name in ("architecture", "labels", "input"):
            if getattr(other.spec, name) != getattr(first.spec, name):
                raise ConfigError(
                    f"{path}: not the same {name} as {paths[0]}: their weights cannot be averaged"
                )
    data = match_all_labels(data, first.spec, str(paths[0]))
    states = [one.model.state_dict() for one in loaded]
    for name, averaged in states[0].items():
        stacked = torch.stack([state[name] for state in states])
        # the integers count the batches that a batch norm saw
        is_float = averaged.is_floating_point()
        averaged.copy_(stacked.double().mean(0) if is_float else stacked.amax(0))
    trained_on = describe_training_data(first.spec.data, data)
    architecture = first.spec.architecture
    return finalize_float(first.model, data, trained_on, architecture=architecture, storage="fp16")
