"""Faces, and a model that needs no weights, for the tests of an evaluation's parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_edge.spec import ModelSpec
from fer_edge.train.data.dataset import Faces
from fer_edge.train.data.loading import read_data
from fer_edge.train.evaluation.evaluate import Model
from tests.support.networks import predict_by_brightness


@pytest.fixture
def faces(csv_file: Path) -> Faces:
    return read_data(csv_file).split("test")


@pytest.fixture
def model(spec: ModelSpec) -> Model:
    """It predicts by brightness alone: what keeps the brightness keeps the labels."""
    return Model("m.onnx", spec, predict_by_brightness, sha256="aa", engine="onnxruntime")
