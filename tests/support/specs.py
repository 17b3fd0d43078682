"""Specs of models that are not trained."""

from __future__ import annotations

from fer_edge.spec import CropSpec, DataSpec, InputSpec, ModelSpec
from tests.support.data import LABELS


def make_spec(architecture: str = "mobilenet_v3_small") -> ModelSpec:
    """A spec of a network of 32 px on FER2013's labels."""
    return ModelSpec(
        name=f"fer-{architecture}",
        architecture=architecture,
        labels=LABELS,
        input=InputSpec(side=48, network_side=32, mean=0.5, std=0.25),
        crop=CropSpec(),
        temperature=1.5,
        data=DataSpec("synthetic", "none", {"train": 42}),
        metrics=(),
        intended_use="tests",
        tools={},
    )
