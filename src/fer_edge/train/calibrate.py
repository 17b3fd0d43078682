"""Set a twin's grids from faces: which steps round its activations and weights with least error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fer_edge.errors import DataError
from fer_edge.spec import Int8Recipe
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.evaluation.evaluate import match_all_labels
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.classifier import FaceClassifier
from fer_edge.train.networks.fake_quant import Grid, short
from fer_edge.train.networks.quantized import (
    chains,
    drop_activations,
    grids,
    outputs,
    rounded,
    twin_of,
)

PER_LABEL = 64
FEWEST = 50
_AT_ONCE = 64
_VALUES = 8192
"""Of each tensor and batch, drawn by chance: enough to weigh steps against each other."""
_LARGEST, _MIDDLE = 255, 128
_LARGEST_BIAS = 2**18
"""Half of what may be scaled by 5 bits within float32's 24; the weights' sums have the rest."""
_FINEST = 2**-12
"""The smallest scale, in steps of an answer that has a zero point: OpenVINO adds that before it
rounds, and between 128 and 256 float32 has 16 bits for what is less than a step."""
_HALVINGS = 3
_SETTLED = 128
"""Faces whose answers the steps are settled by."""
_WORTH = 0.995
"""A step is changed when the error falls by half a percent or more."""


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


def with_twin(
    source: Checkpoint, data: FaceData, recipe: Int8Recipe, method: str, *, seed: int = 0
) -> Checkpoint:
    """A checkpoint with an int8 twin that is calibrated on faces of train; its spec says how.

    Raises:
        DataError: train lacks a label of the network or has one it doesn't know, or has fewer than
            50 faces.
    """
    known = match_all_labels(data, source.spec, source.spec.name)
    pixels, calibration = calibration_faces(known, seed=seed)
    twin = twin_of(source.model, source.spec.architecture, recipe)
    calibrate(twin, pixels, recipe)
    quantization = replace(
        source.spec.quantization,
        method=method,
        calibration=calibration,
        int8=recipe,
        temperature=None,  # that of a twin before this one
    )
    return Checkpoint(source.model, replace(source.spec, quantization=quantization), twin)


def calibrate(twin: FaceClassifier, pixels: npt.NDArray[np.uint8], recipe: Int8Recipe) -> None:
    """Set every grid and every weight's scale from the float answer to some faces, in place."""
    seen, answers = _watch(twin, pixels)
    refines = recipe.ranges in ("mse", "answer")
    choose = _RANGES[recipe.ranges]
    for grid, values in seen.items():
        low, high = choose(values)
        _cover(grid, min(low, 0.0), max(high, 0.0))
        if refines:
            _refine([grid], seen)
    for chain in chains(twin):
        _cover_all(chain, [choose(seen[grid]) for grid in chain])
        if refines:
            _refine(chain, seen)
    for grid in seen:
        if _is_of_pixels(grid, twin):  # whole numbers are on a grid already
            _put(grid, 1.0, round(-twin.shift))
    _put_scales(twin)
    drop_activations(twin)
    if recipe.ranges == "answer":
        _settle(twin, pixels[:_SETTLED], answers[:_SETTLED])
        _put_scales(twin)  # which of them are too small depends on the steps


def _put_scales(twin: FaceClassifier) -> None:
    """Short ones with least error, none too small for float32 to be exact."""
    finest = {
        layer: _FINEST * float(grid.scale / layer.grid.scale)
        for layer, grid in outputs(twin)
        if grid.zero_point
    }
    for layer in rounded(twin).values():
        # a channel without weights still has a bias
        weight, bias = layer.values()
        least = bias.abs() / (layer.grid.scale * _LARGEST_BIAS)
        least = short(least.clamp_min(finest.get(layer, 0.0)))
        layer.rescale(torch.maximum(_least_error(weight, layer.most), least))


def _watch(
    twin: FaceClassifier, pixels: npt.NDArray[np.uint8]
) -> tuple[dict[Grid, Tensor], Tensor]:
    """Values that passed each grid, its extremes among them, and the float answers."""
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
    answers = _answers(twin, pixels)
    for grid, hook in zip(seen, hooks, strict=True):
        grid.rounds = True
        hook.remove()
    return {grid: torch.cat(values).clone() for grid, values in seen.items()}, answers


def _answers(twin: FaceClassifier, pixels: npt.NDArray[np.uint8]) -> Tensor:
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(pixels.copy()), _AT_ONCE)
        return torch.cat([twin(batch) for batch in batches])


def _middle(values: Tensor) -> tuple[float, float]:
    low, high = np.quantile(values.numpy(), (0.0005, 0.9995))
    return float(low), float(high)


def _is_of_pixels(grid: Grid, twin: FaceClassifier) -> bool:
    """Whether it is the first layer's, and that layer takes pixels as they are."""
    return twin.scale == 1.0 and grid is next(iter(grids(twin).values()))


def _extremes(values: Tensor) -> tuple[float, float]:
    return float(values.min()), float(values.max())


_RANGES: dict[str, Callable[[Tensor], tuple[float, float]]] = {
    "minmax": _extremes,
    "percentile": _middle,
    "mse": _extremes,
    "answer": _extremes,
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


def _cover_all(chain: list[Grid], ranges: list[tuple[float, float]]) -> None:
    """One step for all, the zero points at 0 or in the middle, so that sums need no rounding."""
    zeros = [0 if low >= 0 else _MIDDLE for low, _ in ranges]
    reach = max(
        max(-low / max(zero, 1), high / (_LARGEST - zero))
        for zero, (low, high) in zip(zeros, ranges, strict=True)
    )
    step = 2.0 ** math.ceil(math.log2(max(reach, 1e-8)))
    _put_all(chain, [(step, zero) for zero in zeros])


def _refine(chain: list[Grid], seen: dict[Grid, Tensor]) -> None:
    """Halve the common step while the squared error falls: what lies far out is clamped."""

    def error(steps: list[tuple[float, int]]) -> float:
        total = 0.0
        for grid, (step, zero) in zip(chain, steps, strict=True):
            values = seen[grid]
            back = torch.fake_quantize_per_tensor_affine(values, step, zero, 0, _LARGEST)
            total += float((back - values).square().mean() / values.square().mean().clamp(1e-12))
        return total

    tried = [_steps(chain)]
    for _ in range(_HALVINGS):
        tried.append([_times(0.5, *one) for one in tried[-1]])
    _put_all(chain, min(tried, key=error))


def _settle(twin: FaceClassifier, pixels: npt.NDArray[np.uint8], wanted: Tensor) -> None:
    """Halve or double each step, first layers first, where the answer comes closer to `wanted`.

    The error that a tensor gets says little about the error that the answer gets from it.
    """
    order = list(grids(twin).values())
    together = chains(twin)
    alone = [[g] for g in order if not (any(g in c for c in together) or _is_of_pixels(g, twin))]
    groups = sorted([*together, *alone], key=lambda group: min(map(order.index, group)))
    best = float((_answers(twin, pixels) - wanted).square().mean())
    for group in groups:
        before = _steps(group)
        for factor in (0.5, 2.0):
            _put_all(group, [_times(factor, *one) for one in before])
            error = float((_answers(twin, pixels) - wanted).square().mean())
            if error < _WORTH * best:
                best = error
                break
            _put_all(group, before)


def _times(factor: float, step: float, zero: int) -> tuple[float, int]:
    """Another step; its zero point is even, and follows as far as the middle of the codes."""
    if zero >= _MIDDLE:
        return step * factor, zero
    return step * factor, min(2 * math.ceil(zero / factor / 2), _MIDDLE)


def _steps(group: list[Grid]) -> list[tuple[float, int]]:
    return [(float(grid.scale), int(grid.zero_point)) for grid in group]


def _put_all(group: list[Grid], steps: list[tuple[float, int]]) -> None:
    for grid, one in zip(group, steps, strict=True):
        _put(grid, *one)


def _put(grid: Grid, step: float, zero: int) -> None:
    grid.scale.fill_(step)
    grid.zero_point.fill_(zero)


def _least_error(weights: Tensor, most: int) -> Tensor:
    """For each channel the scale with least error, of the short ones that reach 60 to 110 % of its
    extremes: about seven."""
    weights = weights.flatten(1)
    top = weights.abs().amax(1).clamp_min(1e-8)
    best, least = top, torch.full_like(top, torch.inf)
    for share in torch.linspace(0.6, 1.1, 51):
        scale = short(top * share / most)
        codes = (weights / scale[:, None]).round().clamp(-most, most)
        error = (codes * scale[:, None] - weights).square().sum(1)
        best = torch.where(error < least, scale, best)
        least = torch.minimum(error, least)
    return best
