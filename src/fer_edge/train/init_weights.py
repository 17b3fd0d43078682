"""Build a network with its initial weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from fer_edge.errors import ConfigError
from fer_edge.spec import InputSpec
from fer_edge.train.config import TrainConfig
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.classifier import (
    MEAN,
    STD,
    FaceClassifier,
    build_classifier,
    load_pretrained,
)
from fer_edge.train.networks.published import load_published, published_range
from fer_edge.train.networks.shrink import shrink
from fer_edge.train.provenance import find_initial_checkpoint, find_initial_file

_PUBLISHED_FACES = 2048


def build_initial_model(
    config: TrainConfig, labels: tuple[str, ...], faces: npt.NDArray[np.uint8]
) -> FaceClassifier:
    """Build a network for `labels` with the initial weights that `config` names.

    From a fer-edge checkpoint it takes all weights but the head's, and of the head the rows of the
    labels that both networks have; its mean, std and network side are the defaults. From one of
    the larger architecture that this one shrinks it takes the blocks and channels that remain, its
    mean and std. The remaining weights are drawn with the config's seed.

    Args:
        config: the run's settings.
        labels: of the data.
        faces: uint8 `[N, S, S]` to train on; published weights get the statistics of 2,048
            of them, drawn with the seed, for their batch norms.

    Raises:
        ConfigError: the checkpoint or the architecture isn't what the settings say.
        ModelError, SpecError: a file can't be read.
    """
    torch.manual_seed(config.seed)
    source = _load_source(config)
    entry = ARCHITECTURES[config.architecture]
    file = None if source else find_initial_file(config)
    if file and not config.weights_data:
        raise ConfigError(
            f"{file}: weights of another origin: set weights_data and weights_licence in a recipe, "
            "for the spec: what they were trained on, and its terms"
        )
    is_published = entry.is_published and file and file.suffix.lower() == ".safetensors"
    published = file if is_published else None
    mean, std = published_range(config.architecture) if published else (MEAN, STD)
    default = source.spec.input if source else InputSpec(config.side, entry.side, mean, std)
    is_larger = source is not None and source.spec.architecture != config.architecture
    if is_larger:
        default = replace(default, network_side=entry.side)
    names = ("side", "network_side", "mean", "std")
    given = {name: value for name in names if (value := getattr(config, name)) is not None}
    spec = replace(default, **given)
    model = build_classifier(config.architecture, len(labels), spec)
    if source and is_larger:
        shrink(source.model.network, model.network, entry.import_module().SOURCES)
    elif source:
        _copy_weights(model, source, labels, config.architecture)
    elif published:
        chosen = np.random.default_rng(config.seed).permutation(len(faces))[:_PUBLISHED_FACES]
        few = torch.from_numpy(faces[np.sort(chosen)])
        load_published(model, config.architecture, published, few)
    elif config.weights != "none":
        load_pretrained(model, config.architecture, config.weights)
    return model


def _load_source(config: TrainConfig) -> Checkpoint | None:
    path = find_initial_checkpoint(config)
    if path is None:
        return None
    source = checkpoints.load(path)
    larger = ARCHITECTURES[config.architecture].shrinks
    allowed = [config.architecture, *([larger] if larger else [])]
    if source.spec.architecture not in allowed:
        raise ConfigError(
            f"{path} is a {source.spec.architecture}, not a {' or a '.join(allowed)}: "
            f"use {_describe_choice(config.architecture)}"
        )
    return source


def _describe_choice(architecture: str) -> str:
    """Say which initial weights an architecture takes."""
    entry = ARCHITECTURES[architecture]
    if entry.is_published:
        return "--weights FILE with its published convolutions, a file of it, or --weights none"
    if entry.shrinks:
        return f"--weights none, or a file of {architecture} or {entry.shrinks}"
    imagenet = "--weights imagenet, " if entry.has_imagenet else ""
    return f"{imagenet}--weights none, or a file of that architecture"


def _copy_weights(
    model: FaceClassifier, source: Checkpoint, labels: tuple[str, ...], architecture: str
) -> None:
    """Copy all weights but the head's, and of the head the rows of labels that both have."""
    head = f"{ARCHITECTURES[architecture].head}."
    own, known = model.network.state_dict(), source.spec.labels
    for name, tensor in source.model.network.state_dict().items():
        if name.startswith(head):
            for row, label in enumerate(labels):
                if label in known:
                    own[name][row] = tensor[known.index(label)]
        else:
            own[name].copy_(tensor)
