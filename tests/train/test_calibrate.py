from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_edge.errors import DataError
from fer_edge.spec import Int8Recipe, Ranges
from fer_edge.train import calibrate as calibration
from fer_edge.train.calibrate import add_quantized_model, calibrate
from fer_edge.train.calibration_faces import choose_calibration_faces
from fer_edge.train.data.dataset import FaceData, Faces
from fer_edge.train.networks import quantized
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.classifier import FaceClassifier, build_classifier
from fer_edge.train.networks.fake_quant import ActivationFakeQuant, FakeQuantMode
from fer_edge.train.scale_search import Trials
from tests.support.data import LABELS, draw_face
from tests.support.networks import make_network
from tests.support.specs import make_spec

FACES = np.stack([draw_face(label, 500 + i) for label in range(7) for i in range(10)])


def quantize(model: FaceClassifier, ranges: Ranges) -> FaceClassifier:
    recipe = Int8Recipe(ranges, quantized.default_float_layers(model, "tiny"))
    int8_model = quantized.quantize_model(model, recipe)
    calibrate(int8_model, FACES, recipe)
    return int8_model


@pytest.fixture
def model() -> FaceClassifier:
    return make_network("tiny", make_spec("tiny").input)


def observe(model: FaceClassifier) -> dict[ActivationFakeQuant, torch.Tensor]:
    """Return every value that reaches each quantizer in float mode."""
    seen: dict[ActivationFakeQuant, torch.Tensor] = {}
    quantizers = quantized.activation_quantizers(model).values()
    hooks = [
        quantizer.register_forward_hook(lambda module, inputs, _: seen.update({module: inputs[0]}))
        for quantizer in quantizers
    ]
    with quantized.fake_quant_mode(model, FakeQuantMode.FLOAT), torch.no_grad():
        model(torch.from_numpy(FACES))
    for hook in hooks:
        hook.remove()
    return seen


def squared_errors(model: FaceClassifier) -> list[float]:
    """Return each tensor's squared error by quantization alone, relative to its square."""
    return [
        float((quantizer(values) - values).square().mean() / values.square().mean())
        for quantizer, values in observe(model).items()
    ]


def test_minmax_clamps_nothing(model: FaceClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "remove_redundant_activations", lambda _: None)
    for quantizer, values in observe(quantize(model, "minmax")).items():
        scale, zero_point = float(quantizer.scale), int(quantizer.zero_point)
        assert values.min() >= -scale * zero_point - 1e-5
        assert values.max() <= scale * (255 - zero_point) + 1e-5
        assert values.max() - values.min() > scale * 255 / 8  # and no range is far too wide


def test_percentile_ranges_are_no_wider_than_minmax(model: FaceClassifier) -> None:
    narrow, wide = (
        [float(q.scale) for q in quantized.activation_quantizers(quantize(model, how)).values()]
        for how in ("percentile", "minmax")
    )
    assert all(a <= b for a, b in zip(narrow, wide, strict=True))
    assert narrow != wide


def test_mse_lowers_the_squared_error(
    model: FaceClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "remove_redundant_activations", lambda _: None)
    assert sum(squared_errors(quantize(model, "mse"))) < sum(
        squared_errors(quantize(model, "minmax"))
    )


def logits_error(model: FaceClassifier, int8_model: FaceClassifier) -> float:
    got, want = (Checkpoint(m, make_spec("tiny")).predict(FACES) for m in (int8_model, model))
    return float(np.square(got - want).mean() / want.var())


def test_the_search_brings_the_logits_closer(model: FaceClassifier) -> None:
    mse, answer = (logits_error(model, quantize(model, how)) for how in ("mse", "answer"))
    assert answer < mse
    assert answer < 0.05


def test_the_search_computes_what_the_model_computes(model: FaceClassifier) -> None:
    """It keeps the tensors before a change; its logits are the model's nevertheless."""
    int8_model = quantize(model, "mse")
    trials = Trials(int8_model, FACES)
    for number, quantizer in enumerate(quantized.activation_quantizers(int8_model).values()):
        trials.advance_to(quantizer)
        before = trials.compute_logits()
        quantizer.set_range(float(quantizer.scale) * (4 if number % 2 else 0.25), 0)
        got = trials.compute_logits()
        with torch.no_grad():
            assert torch.equal(got, int8_model(torch.from_numpy(FACES)))
        assert not torch.equal(got, before)


def test_progress_is_reported_to_the_end(model: FaceClassifier) -> None:
    seen: list[tuple[str, int, int]] = []
    recipe = Int8Recipe("answer", quantized.default_float_layers(model, "tiny"))
    calibrate(
        quantized.quantize_model(model, recipe),
        FACES,
        recipe,
        lambda *step: seen.append(step),
    )
    fractions = [done / total for _, done, total in seen]
    assert {stage for stage, _, _ in seen} == {"calibration"}
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert len(fractions) > 5


@pytest.mark.parametrize("ranges", ["mse", "answer"])
def test_float32_holds_every_sum_with_its_bias_and_zero_point(
    ranges: Ranges, model: FaceClassifier
) -> None:
    layer = model.network.get_submodule("features.1.conv.2")
    with torch.no_grad():  # one channel's weights want a tiny scale, another's bias a large one
        layer.weight[:2] *= 1e-5
        model.network.get_submodule("features.1.conv.3").bias[1] = 20
    int8_model = quantize(model, ranges)
    found = list(quantized.output_quantizers(int8_model))
    assert len(found) == len(quantized.quantized_layers(int8_model))
    for quantized_layer, quantizer in found:
        _, bias = quantized_layer.integer_weights()
        assert bias.abs().max() <= 2**18 * 1.07  # the smallest scale is rounded to 5 bits
        if quantizer.zero_point:
            ratio = quantized_layer.scale * quantized_layer.input_quantizer.scale / quantizer.scale
            assert (ratio * 2**16 % 1 == 0).all()


def quantize_with(model: FaceClassifier, **norm: float) -> quantized.QuantizedLayer:
    """A layer whose batch norm has these values in channel 3, quantized."""
    with torch.no_grad():
        for name, value in norm.items():
            getattr(model.network.get_submodule("features.1.conv.0.1"), name)[3] = value
    return quantized.quantized_layers(quantize(model, "mse"))["features.1.conv.0.0"]


def test_a_channel_without_weights_keeps_its_bias(model: FaceClassifier) -> None:
    layer = quantize_with(model, weight=0.0, bias=0.5)
    weight, bias = layer.integer_weights()
    assert not weight[3].any()
    value = float(bias[3] * layer.input_quantizer.scale * layer.scale[3])
    assert value == pytest.approx(0.5, rel=1e-4)


def test_a_channel_without_bias_has_the_best_scale(model: FaceClassifier) -> None:
    layer = quantize_with(model, running_mean=0.0, bias=0.0)
    weight, bias = layer.float_weights()
    assert bias[3] == 0
    assert layer.scale[3] == calibration._best_weight_scales(weight[3:4], layer.max_level)


def test_weight_scales_are_the_best_short_ones() -> None:
    torch.manual_seed(0)
    weights = torch.randn(6, 40) * torch.logspace(-3, 2, 6)[:, None]
    found = calibration._best_weight_scales(weights, 63)
    for row, scale in zip(weights, found, strict=True):
        top = float(row.abs().max()) / 63
        candidates = calibration.round_to_short_scale(torch.linspace(0.6, 1.1, 200) * top)
        levels = (row / candidates[:, None]).round().clamp(-63, 63) * candidates[:, None]
        errors = (levels - row).square().sum(1)
        assert scale == candidates[errors.argmin()]


def data(counts: tuple[int, ...]) -> FaceData:
    labels = np.repeat(np.arange(len(counts)), counts)
    faces = np.zeros((len(labels), 48, 48), np.uint8)
    train = Faces(faces, labels.astype(np.int64), np.arange(len(labels)))
    return FaceData("made", "none", Path("made.csv"), LABELS[: len(counts)], {"train": train})


def test_calibration_takes_as_many_of_each_label() -> None:
    pixels, description = choose_calibration_faces(data((100, 80, 20)), per_label=30, seed=3)
    assert len(pixels) == 80
    assert description == "80 faces of made train, up to 30 per label, seed 3"


@pytest.mark.parametrize(
    ("counts", "message"),
    [((30, 0, 30), "no face of 'disgust' in train"), ((20, 9, 20), "49 faces in train")],
)
def test_too_little_to_calibrate_with(counts: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_calibration_faces(data(counts))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[3:5], r"made\.csv: no face of 'angry' in train to calibrate int8 with"),
        (("bored", "happy"), r"made\.csv: fer-.* doesn't know the label 'bored', only angry"),
    ],
)
def test_calibration_takes_the_labels_of_the_network(labels: tuple[str, ...], message: str) -> None:
    """Not those of the data: a folder of two classes would set ranges for seven."""
    spec = make_spec("tiny")
    source = Checkpoint(build_classifier("tiny", len(LABELS), spec.input), spec)
    with pytest.raises(DataError, match=message):
        add_quantized_model(source, replace(data((40, 40)), labels=labels), Int8Recipe(), "rounded")
