from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fer_edge.train.networks import fake_quant


@given(
    step=st.floats(2**-20, 2**10),
    zero=st.integers(0, 255),
    seed=st.integers(0, 99),
)
def test_a_grid_rounds_and_learns_as_torch_does(step: float, zero: int, seed: int) -> None:
    grid = fake_quant.ActivationFakeQuant()
    grid.scale.fill_(step)
    grid.zero_point.fill_(zero)
    torch.manual_seed(seed)
    x = (torch.randn(500) * 100 * step).requires_grad_()
    wanted = torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero_point, 0, 255)
    assert torch.equal(grid(x), wanted)
    ours, theirs = (torch.autograd.grad(y.square().sum(), x)[0] for y in (grid(x), wanted))
    assert torch.equal(ours, theirs)


@given(st.floats(2**-20, 2**10, width=32))
def test_short_scales_have_five_bits_and_end_in_one(value: float) -> None:
    short = float(fake_quant.round_to_short_scale(torch.tensor([value]))[0])
    mantissa = math.frexp(short)[0] * 32
    assert mantissa == int(mantissa)
    assert int(mantissa) % 2 == 1
    assert abs(short / value - 1) <= 1 / 16 + 1e-6


def test_other_scales_keep_the_values() -> None:
    torch.manual_seed(0)
    layer = fake_quant.QuantizedLayer(nn.Conv2d(6, 4, 3), fake_quant.ActivationFakeQuant())
    weight, bias = (one.clone() for one in layer.float_weights())
    for scale in (torch.tensor([0.01, 0.02, 0.03, 0.1]), torch.full((4,), 0.005)):
        layer.rescale(scale)
        for got, want in zip(layer.float_weights(), (weight, bias), strict=True):
            assert torch.allclose(got, want, atol=1e-6)
        codes, _ = layer.integer_weights()
        wanted = (weight / scale[:, None, None, None]).clamp(-63, 63)
        assert (codes - wanted).abs().max() < 0.5001


def test_a_layer_trains_as_it_answers() -> None:
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
    grid = fake_quant.ActivationFakeQuant()
    grid.scale.fill_(2**-5)
    layer = fake_quant.QuantizedLayer(nn.Conv2d(40, 8, 1), grid).eval()
    scale = fake_quant.round_to_short_scale(torch.tensor(wanted))
    layer.rescale(scale.expand(8).clone())
    assert layer.integer_weights()[0].abs().max() > 4
    x = torch.randint(0, 256, (2, 40, 6, 6)) * grid.scale
    weight, bias = (codes.float() * scale for codes in layer.integer_weights())
    late = nn.functional.conv2d(x, weight) + (bias * grid.scale)[:, None, None]
    assert torch.equal(layer(x), late)
