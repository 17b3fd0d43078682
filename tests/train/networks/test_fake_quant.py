from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fer_edge.train.networks import fake_quant


@given(
    scale=st.floats(2**-20, 2**10),
    zero_point=st.integers(0, 255),
    seed=st.integers(0, 99),
)
def test_a_quantizer_has_the_values_and_gradients_of_torch(
    scale: float, zero_point: int, seed: int
) -> None:
    quantizer = fake_quant.ActivationFakeQuant()
    quantizer.scale.fill_(scale)
    quantizer.zero_point.fill_(zero_point)
    torch.manual_seed(seed)
    x = (torch.randn(500) * 100 * scale).requires_grad_()
    wanted = torch.fake_quantize_per_tensor_affine(x, quantizer.scale, quantizer.zero_point, 0, 255)
    assert torch.equal(quantizer(x), wanted)
    ours, theirs = (torch.autograd.grad(y.square().sum(), x)[0] for y in (quantizer(x), wanted))
    assert torch.equal(ours, theirs)


@given(st.floats(2**-20, 2**10, width=32))
def test_short_scales_have_five_bits_and_end_in_one(value: float) -> None:
    short = float(fake_quant.round_to_short_scale(torch.tensor([value]))[0])
    mantissa = math.frexp(short)[0] * 32
    assert mantissa == int(mantissa)
    assert int(mantissa) % 2 == 1
    assert abs(short / value - 1) <= 1 / 16 + 1e-6


def test_rescaling_keeps_the_float_weights() -> None:
    torch.manual_seed(0)
    layer = fake_quant.QuantizedLayer(nn.Conv2d(6, 4, 3), fake_quant.ActivationFakeQuant())
    weight, bias = (one.clone() for one in layer.float_weights())
    for scale in (torch.tensor([0.01, 0.02, 0.03, 0.1]), torch.full((4,), 0.005)):
        layer.rescale(scale)
        for got, want in zip(layer.float_weights(), (weight, bias), strict=True):
            assert torch.allclose(got, want, atol=1e-6)
        levels, _ = layer.integer_weights()
        wanted = (weight / scale[:, None, None, None]).clamp(-63, 63)
        assert (levels - wanted).abs().max() < 0.5001


def test_a_layer_computes_alike_in_training_and_evaluation() -> None:
    torch.manual_seed(0)
    layer = fake_quant.QuantizedLayer(nn.Conv2d(6, 4, 3), fake_quant.ActivationFakeQuant())
    layer.input_quantizer.scale.fill_(2**-4)
    layer.rescale(torch.tensor([0.011, 0.002, 0.005, 0.01]))
    x = torch.randint(0, 256, (2, 6, 5, 5)) * layer.input_quantizer.scale
    assert torch.allclose(layer.train()(x), layer.eval()(x), atol=2e-3)  # the bias is rounded late


@given(wanted=st.floats(1e-4, 1e-2), seed=st.integers(0, 99))
def test_the_order_of_the_arithmetic_makes_no_difference(wanted: float, seed: int) -> None:
    """An engine may scale a sum and then add the scaled bias, or scale both together."""
    torch.manual_seed(seed)
    quantizer = fake_quant.ActivationFakeQuant()
    quantizer.scale.fill_(2**-5)
    layer = fake_quant.QuantizedLayer(nn.Conv2d(40, 8, 1), quantizer).eval()
    scale = fake_quant.round_to_short_scale(torch.tensor(wanted))
    layer.rescale(scale.expand(8).clone())
    assert layer.integer_weights()[0].abs().max() > 4
    x = torch.randint(0, 256, (2, 40, 6, 6)) * quantizer.scale
    weight, bias = (levels.float() * scale for levels in layer.integer_weights())
    late = nn.functional.conv2d(x, weight) + (bias * quantizer.scale)[:, None, None]
    assert torch.equal(layer(x), late)
