"""The spec of a detector: written, read, refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fer_edge.detector_spec import (
    DetectorMetrics,
    DetectorParity,
    DetectorSample,
    DetectorSpec,
    count_cells,
)
from fer_edge.errors import DamagedSpecError, SpecError
from fer_edge.spec import ModelSpec
from tests.support.detectors import make_detector_spec


@pytest.fixture
def detector_spec() -> DetectorSpec:
    image = np.arange(64 * 32).reshape(64, 32).astype(np.uint8)
    output = np.arange(9 * count_cells(64, 32), dtype=np.float32).reshape(9, -1)
    return replace(
        make_detector_spec(),
        metrics=(DetectorMetrics("val", 640, 10, 12, 0.9, 0.8, 3, 0.1),),
        parity=DetectorParity(10, 12, 1.0, 0.01, 0.0, passed=True),
        golden=(DetectorSample.encode(image, output),),
    )


def test_json_round_trip(detector_spec: DetectorSpec) -> None:
    read = DetectorSpec.from_json(detector_spec.to_json(), "x")
    assert read == detector_spec
    image, output = read.golden[0].decode()
    assert image.shape == (64, 32)
    assert image[1, 1] == 33
    assert output.shape == (9, count_cells(64, 32))
    assert output[1, 0] == count_cells(64, 32)
    assert replace(read, version="1").title == "faces 1"


def test_each_kind_of_spec_is_refused_as_the_other(
    detector_spec: DetectorSpec, spec: ModelSpec
) -> None:
    with pytest.raises(SpecError, match="x: a face detector, not a model of expressions"):
        ModelSpec.from_json(detector_spec.to_json(), "x")
    with pytest.raises(SpecError, match="x: a model of expressions, not a face detector"):
        DetectorSpec.from_json(spec.to_json(), "x")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "a/b", "name must be a plain name"),
        ("widths", [1, 2, 3], "widths must be five numbers"),
        ("widths", [1, 2, 3, 4, 10**9], "widths must be five numbers"),
        ("strides", [8, 16], "strides must be"),
        ("score_threshold", 1.5, "score_threshold must be in"),
        ("nms_threshold", -1, "nms_threshold must be in"),
        ("min_face", 0, "are no range"),
        ("side", 8, "side must be in"),
        ("task", "cats", "task: 'cats' is none of"),
        ("input", {"mean": 2, "std": 0.2}, "out of range"),
        ("golden", [{"height": 30, "width": 32, "image": "", "output": ""}], "the side of a sam"),
        ("golden", [{"height": 32, "width": 32, "image": "AA", "output": ""}], "is damaged"),
        ("golden", [{"height": 10**9, "width": 32, "image": "", "output": ""}], "the side of a"),
        ("metrics", [{"split": "val"}], "is missing"),
    ],
)
def test_damaged_values(key: str, value: Any, message: str) -> None:
    document = {**json.loads(make_detector_spec().to_json()), key: value}
    with pytest.raises(DamagedSpecError, match=message):
        DetectorSpec.from_document(document, "x")
