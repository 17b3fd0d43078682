"""Set a twin's grids from faces: which steps round its activations and weights with least error."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fer_edge.errors import DataError
from fer_edge.spec import Int8Recipe
from fer_edge.train.faces import FaceData
from fer_edge.train.int8 import Grid, Rounded, chains, drop_activations, grids, rounded, short
from fer_edge.train.model import FaceClassifier

PER_LABEL = 64
FEWEST = 50
_AT_ONCE = 64
_VALUES = (
    8192  # of each tensor and batch, drawn by chance: enough to weigh steps against each other
)
_LARGEST, _MIDDLE = 255, 128
_HALVINGS = 3


def calibration_faces(
    data: FaceData, *, per_label: int = PER_LABEL, seed: int = 0
) -> tuple[npt.NDArray[np.uint8], str]:
    """Faces of train, uint8 `[N, S, S]`, as many of each label, and words that name them.

    Raises:
        DataError: a label has no face in train, or there are fewer than 50 faces.
    """
    faces = data.split("train")
    random = np.random.default_rng(seed)
    chosen = []
    for label, name in enumerate(data.labels):
        places = np.flatnonzero(faces.labels == label)
        if not len(places):
            raise DataError(f"{data.path}: no face of {name!r} in train to calibrate int8 with")
        chosen.append(random.permutation(places)[:per_label])
    found = random.permutation(np.concatenate(chosen))
    if len(found) < FEWEST:
        raise DataError(
            f"{data.path}: {len(found)} faces in train to calibrate int8 with, at least {FEWEST} "
            "are needed"
        )
    most = max(map(len, chosen))
    return faces.pixels[found], (
        f"{len(found)} faces of {data.name} train, up to {most} a label, seed {seed}"
    )


def calibrate(twin: FaceClassifier, pixels: npt.NDArray[np.uint8], recipe: Int8Recipe) -> None:
    """Set every grid and every weight's scale from the float answer to some faces, in place."""
    seen = _watch(twin, pixels)
    choose = _RANGES[recipe.ranges]
    for grid, values in seen.items():
        low, high = choose(values)
        _cover(grid, min(low, 0.0), max(high, 0.0))
        if recipe.ranges == "mse":
            _refine([grid], seen)
    for chain in chains(twin):
        step = max(float(grid.scale) for grid in chain)
        for grid in chain:
            _put(grid, step, 0 if seen[grid].min() >= 0 else 128)
        if recipe.ranges == "mse":
            _refine(chain, seen)
    first = next(iter(grids(twin).values()))
    if twin.scale == 1.0:  # whole pixels are on a grid already
        _put(first, 1.0, round(-twin.shift))
    for layer in rounded(twin).values():
        layer.scale.copy_(short(_least_error(layer)))
    drop_activations(twin)


def _watch(twin: FaceClassifier, pixels: npt.NDArray[np.uint8]) -> dict[Grid, Tensor]:
    """Values that passed each grid, its extremes among them."""
    seen: dict[Grid, list[Tensor]] = {grid: [] for grid in grids(twin).values()}
    random = torch.Generator().manual_seed(0)

    def note(grid: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(grid, Grid)
        values = inputs[0].flatten()
        drawn = torch.randint(len(values), (_VALUES,), generator=random)
        seen[grid] += [values[drawn], values.min()[None], values.max()[None]]

    hooks = [grid.register_forward_hook(note) for grid in seen]
    for grid in seen:
        grid.rounds = False
    twin.eval()
    with torch.inference_mode():
        for i in range(0, len(pixels), _AT_ONCE):
            twin(torch.from_numpy(pixels[i : i + _AT_ONCE].copy()))
    for grid, hook in zip(seen, hooks, strict=True):
        grid.rounds = True
        hook.remove()
    return {grid: torch.cat(values).clone() for grid, values in seen.items()}


def _middle(values: Tensor) -> tuple[float, float]:
    low, high = np.quantile(values.numpy(), (0.0005, 0.9995))
    return float(low), float(high)


_RANGES: dict[str, Callable[[Tensor], tuple[float, float]]] = {
    "minmax": lambda values: (float(values.min()), float(values.max())),
    "percentile": _middle,
    "mse": lambda values: (float(values.min()), float(values.max())),
}


def _cover(grid: Grid, low: float, high: float) -> None:
    """The smallest power of two whose 256 steps reach from `low` to `high`.

    The zero point is even: then a half rounds to the same side before it is added and after.
    """
    step = 2.0 ** math.ceil(math.log2(max(high - low, 1e-6) / (_LARGEST - 1)))
    zero = 2 * math.ceil(-low / step / 2)
    if zero + high / step > _LARGEST:  # the even number needed one step more than there was
        step *= 2
        zero = 2 * math.ceil(-low / step / 2)
    _put(grid, step, zero)


def _refine(chain: list[Grid], seen: dict[Grid, Tensor]) -> None:
    """Halve the common step while the squared error falls: what lies far out is clamped."""
    step = float(chain[0].scale)
    zeros = [int(grid.zero_point) for grid in chain]

    def zero(start: int, halvings: int) -> int:
        """Halved steps need twice as many below 0, as far as half the codes."""
        return start if start > _MIDDLE else min(start * 2**halvings, _MIDDLE)

    def error(halvings: int) -> float:
        total = 0.0
        for grid, start in zip(chain, zeros, strict=True):
            values, at = seen[grid], zero(start, halvings)
            back = torch.fake_quantize_per_tensor_affine(
                values, step / 2**halvings, at, 0, _LARGEST
            )
            total += float((back - values).square().mean() / values.square().mean().clamp(1e-12))
        return total

    best = min(range(_HALVINGS + 1), key=error)
    for grid, start in zip(chain, zeros, strict=True):
        _put(grid, step / 2**best, zero(start, best))


def _put(grid: Grid, step: float, zero: int) -> None:
    grid.scale.fill_(step)
    grid.zero_point.fill_(zero)


def _least_error(layer: Rounded) -> Tensor:
    """For each channel the scale, of 41 from 60 to 100 % of its extremes', with least error."""
    weights = layer.layer.weight.detach().flatten(1)
    top = weights.abs().amax(1).clamp_min(1e-8)
    best, least = top / layer.most, torch.full_like(top, torch.inf)
    for share in torch.linspace(0.6, 1.0, 41):
        scale = (top * share / layer.most)[:, None]
        codes = (weights / scale).round().clamp(-layer.most, layer.most)
        error = (codes * scale - weights).square().sum(1)
        best = torch.where(error < least, scale[:, 0], best)
        least = torch.minimum(error, least)
    return best
