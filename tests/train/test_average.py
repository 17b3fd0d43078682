from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fer_edge.errors import ConfigError, DataError
from fer_edge.spec import ModelSpec
from fer_edge.train.average import average
from fer_edge.train.data.loading import read_data
from fer_edge.train.networks.checkpoint import Checkpoint, load, save
from fer_edge.train.networks.classifier import build_classifier


@pytest.fixture
def runs(spec: ModelSpec, tmp_path: Path) -> list[Path]:
    """Two runs' checkpoints, their weights drawn by chance."""
    paths = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = build_classifier(spec.architecture, 7, spec.input).eval()
        for name, number in model.named_buffers():
            if name.endswith("running_var"):
                number.fill_(1 + seed)
        paths.append(tmp_path / f"run{seed}" / "model.safetensors")
        save(Checkpoint(model, spec), paths[-1])
    return paths


def test_weights_and_batch_norm_statistics_are_averaged(runs: list[Path], csv_file: Path) -> None:
    data = read_data(csv_file)
    done = average(runs, data)
    one, other, mean = (
        m.state_dict() for m in (load(runs[0]).model, load(runs[1]).model, done.model)
    )
    weight = "network.features.3.block.0.0.weight"
    expected = ((one[weight] + other[weight]) / 2).half().float()
    assert torch.equal(mean[weight], expected)
    assert set(mean["network.features.0.1.running_var"].tolist()) == {1.5}
    assert done.quantized_model is None
    assert done.spec.quantization.int8 is None
    assert [m.split for m in done.spec.metrics] == ["val"]
    assert done.spec.metrics[0].n == len(data.split("val"))


def test_networks_that_cannot_be_averaged(
    runs: list[Path], spec: ModelSpec, csv_file: Path, tmp_path: Path
) -> None:
    data = read_data(csv_file)
    with pytest.raises(ConfigError, match="two checkpoints or more"):
        average(runs[:1], data)
    other = replace(spec, labels=tuple(reversed(spec.labels)))
    save(Checkpoint(load(runs[0]).model, other), tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match=r"other\.safetensors: not the same labels as"):
        average([runs[0], tmp_path / "other.safetensors"], data)
    few = replace(data, labels=("angry", "bored"))
    with pytest.raises(DataError, match="doesn't know the label 'bored'"):
        average(runs, few)


def test_the_command(
    fer: Callable[..., Any], runs: list[Path], csv_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "mean"
    ran = fer("average", runs[0].parent, runs[1], "--data", csv_file, "--output", output, "--json")
    assert ran.code == 0, ran.err
    path = output / "model.safetensors"
    assert json.loads(ran.out) == json.loads(load(path).spec.to_json())
    assert f"{path}: " in ran.err
    assert "% on val" in ran.err
    before = path.read_bytes()
    ran = fer("average", *runs, "--data", csv_file, "--output", output)
    assert (ran.code, "exists: choose another --output" in ran.err) == (2, True)
    assert path.read_bytes() == before
    ran = fer("average", *runs, "--output", tmp_path / "other")
    assert (ran.code, "--data" in ran.err) == (2, True)
    assert fer("average").code == 2
