from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.train import quantizers


@given(
    step=st.floats(2**-20, 2**10),
    zero=st.integers(0, 255),
    seed=st.integers(0, 99),
)
def test_a_grid_rounds_and_learns_as_torch_does(step: float, zero: int, seed: int) -> None:
    grid = quantizers.Grid()
    grid.scale.fill_(step)
    grid.zero_point.fill_(zero)
    torch.manual_seed(seed)
    x = (torch.randn(500) * 100 * step).requires_grad_()
    wanted = torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero_point, 0, 255)
    assert torch.equal(grid(x), wanted)
    ours, theirs = (torch.autograd.grad(y.square().sum(), x)[0] for y in (grid(x), wanted))
    assert torch.equal(ours, theirs)


@given(st.floats(1e-6, 1e3))
def test_short_scales_have_eleven_bits_and_end_in_one(value: float) -> None:
    short = float(quantizers.short(torch.tensor([value]))[0])
    mantissa = math.frexp(short)[0] * 2048
    assert mantissa == int(mantissa)
    assert int(mantissa) % 2 == 1
    assert abs(short / value - 1) < 1 / 1000
