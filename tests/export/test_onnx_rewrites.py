"""Rewritten graphs give the same outputs, bit for bit, with the nodes that they should have."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fer_edge.export import to_onnx as exporter
from fer_edge.export.golden import draw_faces
from fer_edge.export.int8_search import default_int8_recipe, quantize
from fer_edge.export.onnx_rewrites import rewrite_graph, split_kernel_phases
from fer_edge.export.to_onnx import to_onnx
from fer_edge.train.data.loading import read_data
from fer_edge.train.networks import checkpoint as checkpoints


def logits(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(["logits"], {"faces": draw_faces(48)})[0])


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.fixture
def unrewritten(monkeypatch: pytest.MonkeyPatch) -> list[onnx.ModelProto]:
    """The graphs as they are before they are rewritten."""
    seen = []

    def watched(model: onnx.ModelProto, given: int, side: int) -> onnx.ModelProto:
        seen.append(onnx.ModelProto.FromString(model.SerializeToString()))
        del seen[-1].graph.value_info[:]  # with it ONNX Runtime fuses float layers differently
        return rewrite_graph(model, given, side)

    monkeypatch.setattr(exporter, "rewrite_graph", watched)
    return seen


def test_int8_logits_stay_and_the_stem_gets_phases(
    source: Path, larger_csv_file: Path, unrewritten: list[onnx.ModelProto]
) -> None:
    loaded = checkpoints.load(source)
    recipe = replace(default_int8_recipe(loaded), ranges="minmax")
    after = to_onnx(quantize(loaded, read_data(larger_csv_file), recipe), "int8")
    (before,) = unrewritten
    assert np.array_equal(logits(before), logits(after))
    assert logits(after).std(0).min() > 0.01
    assert operators(after)["SpaceToDepth"] == 1  # no depthwise layer is taken for a stem
    assert not operators(after).keys() & {"Shape", "Concat"}
    assert operators(before)["Add"] - operators(after)["Add"] == 1  # of the pixels' shift
    onnx.checker.check_model(after, full_check=True)


def test_float_logits_stay(source: Path, unrewritten: list[onnx.ModelProto]) -> None:
    after = to_onnx(checkpoints.load(source))
    (before,) = unrewritten
    assert np.array_equal(logits(before), logits(after))
    assert operators(before).keys() - operators(after).keys() == {"Shape", "Concat"}


@settings(deadline=None)
@given(
    kernel=st.integers(1, 7),
    stride=st.integers(2, 4),
    padding=st.integers(0, 3),
    places=st.integers(3, 6),
)
def test_phases_give_the_same_sums(kernel: int, stride: int, padding: int, places: int) -> None:
    side = places * stride
    assume((side + 2 * padding - kernel) // stride + 1 == places)
    random = np.random.default_rng(kernel)
    weights = random.integers(-63, 64, (5, 1, kernel, kernel)).astype(np.int8)
    image = torch.from_numpy(random.integers(0, 256, (2, 1, side, side))).float()
    expected = torch.nn.functional.conv2d(
        image, torch.from_numpy(weights).float(), stride=stride, padding=padding
    )
    phased, first, last = split_kernel_phases(weights, stride, padding)
    channels = torch.nn.functional.pixel_unshuffle(image, stride)
    padded = torch.nn.functional.pad(channels, (-first, last, -first, last))
    sums = torch.nn.functional.conv2d(padded, torch.from_numpy(phased).float())
    assert torch.equal(sums, expected)


@pytest.mark.parametrize(
    ("shift", "step", "zero", "fits"),
    [(-118, 1, 118, True), (-117, 1, 117, False), (-118, 2, 118, False), (-118, 1, 116, False)],
)
def test_only_an_even_shift_that_is_undone_is_removed(
    shift: int, step: int, zero: int, fits: bool
) -> None:
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (float[N] x) => (uint8[N] y)
        <float shift = {{{shift}}}, float step = {{{step}}}, uint8 zero = {{{zero}}}> {{
            moved = Add (x, shift)
            y = QuantizeLinear (moved, step, zero)
        }}""")
    after = rewrite_graph(model, 48, 64)
    assert ("Add" not in operators(after)) is fits
    values = np.arange(-8, 1040, dtype=np.float32) / 4
    assert np.array_equal(rounded(model, values), rounded(after, values))


def rounded(graph: onnx.ModelProto, values: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"x": values})[0])


@pytest.mark.parametrize(
    ("given", "side", "fits"),
    [
        (48, 48, True),
        (48, 64, True),
        (48, 96, True),
        (80, 64, True),
        (48, 72, False),
        (64, 48, False),
        (48, 80, False),
    ],
)
def test_the_shift_is_removed_where_resized_pixels_are_exact(
    given: int, side: int, fits: bool
) -> None:
    """(x - z) + z loses the last bits of an x next to a half: one pixel of 10,000 from 48 to 72."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 20]>
        agraph (uint8[N, 1, {given}, {given}] x) => (uint8[N, 1, {side}, {side}] y)
        <int64[2] size = {{{side}, {side}}}, float shift = {{-118}}, float step = {{1}},
         uint8 zero = {{118}}> {{
            pixels = Cast <to = 1> (x)
            large = Resize <axes = [2, 3], mode = "linear"> (pixels, , , size)
            moved = Add (large, shift)
            y = QuantizeLinear (moved, step, zero)
        }}""")
    after = rewrite_graph(model, given, side)
    assert ("Add" not in operators(after)) is fits
    faces = np.random.default_rng(0).integers(0, 256, (200, 1, given, given)).astype(np.uint8)
    assert np.array_equal(rounded(model, faces), rounded(after, faces))
