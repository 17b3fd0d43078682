"""Post-training quantization (PTQ), and the search for the layers that must stay in float."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fer_edge.errors import ConfigError
from fer_edge.export.thresholds import DEFAULT_THRESHOLDS
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import Int8Recipe, Ranges
from fer_edge.train.calibrate import add_quantized_model
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.evaluation.evaluate import match_labels
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.quantized import default_float_layers, layer_names
from fer_edge.train.progress import ProgressCallback, ignore_progress

_MARGIN = 0.01
"""Agreement on two splits of 3,589 faces differs by chance: by 0.4 points (standard deviation)."""
_RANGES: tuple[Ranges, ...] = ("answer", "mse", "percentile", "minmax")
_FAST_RANGES: Ranges = "mse"
_PROBE_FACES = 1024
"""Faces of val on which the sensitivity of a block is measured."""


def default_int8_recipe(checkpoint: Checkpoint) -> Int8Recipe:
    """Ranges by the network's output; the layers that gain nothing in int8 stay in float."""
    layers = default_float_layers(checkpoint.model, checkpoint.spec.architecture)
    return Int8Recipe(float_layers=layers)


def read_int8_recipe(path: Path) -> Int8Recipe:
    """The recipe of an exported int8 file, to quantize another checkpoint in the same way.

    Raises:
        ConfigError: the file isn't int8, or comes from quantization-aware training.
        ModelError, SpecError: the file can't be read.
    """
    quantization = read_spec(path).quantization
    recipe = quantization.int8
    if recipe is None or quantization.precision != "int8":
        raise ConfigError(f"{path}: not an int8 file, so it has no int8 recipe")
    if recipe.trained:
        raise ConfigError(
            f"{path}: comes from quantization-aware training, which an export can't repeat: "
            "export its own checkpoint"
        )
    return recipe


def quantize(
    checkpoint: Checkpoint,
    data: FaceData | None,
    recipe: Int8Recipe,
    on_progress: ProgressCallback = ignore_progress,
) -> Checkpoint:
    """The checkpoint with a PTQ model, calibrated on faces of train.

    Raises:
        ConfigError: there is no data, or the recipe names a layer that the network doesn't have.
        DataError: train lacks a label or has fewer than 50 faces.
    """
    if data is None:
        raise ConfigError("int8 needs --data: it is calibrated on faces of train")
    known = layer_names(checkpoint.model)
    if unknown := sorted(set(recipe.float_layers) - set(known)):
        raise ConfigError(f"{checkpoint.spec.architecture} has no layer {unknown[0]!r}")
    method = f"post-training quantization, ranges by {recipe.ranges}"
    return add_quantized_model(checkpoint, data, recipe, method, on_progress)


def search_int8_recipe(
    source: Path,
    data: FaceData,
    report: Callable[[str], None],
    min_agreement: float = DEFAULT_THRESHOLDS["int8"].agreement,
) -> Int8Recipe:
    """Find the recipe with the fewest float layers that reaches an agreement on val.

    The search first takes the ranges with the highest agreement. Then it quantizes each block
    alone to measure the block's sensitivity, and finds by bisection how many of the most sensitive
    blocks must stay in float.

    Args:
        source: a checkpoint, whose float model is quantized.
        data: train calibrates and val decides; test isn't used.
        report: receives each line of the table of results.
        min_agreement: the gate's threshold, a fraction of faces. The search aims higher, see
            `search_target`, since the gate looks at other faces.

    Returns:
        The recipe; where none reaches the agreement, the one that comes closest.

    Raises:
        DataError: there is no val split, or train can't calibrate.
    """
    checkpoint = checkpoints.load(source)
    val = match_labels(data, data.split("val"), checkpoint.spec, checkpoint.spec.name)
    expected = checkpoint.predict(val.pixels).argmax(1)
    everything = np.random.default_rng(0).permutation(len(val))
    part = np.sort(everything[:_PROBE_FACES])
    measured: dict[Int8Recipe, float] = {}

    def measure(name: str, recipe: Int8Recipe, faces: npt.NDArray[np.int64] = everything) -> float:
        logits = quantize(checkpoint, data, recipe).int8().predict(val.pixels[faces])
        agreement = float((logits.argmax(1) == expected[faces]).mean())
        if faces is everything:
            measured[recipe] = agreement
        report(f"{name:<52} {agreement:10.2%}")
        return agreement

    target = search_target(min_agreement)
    report(f"{'int8 search on val':<52} same label")
    start = default_int8_recipe(checkpoint)
    for ranges in _RANGES:
        measure(f"ranges by {ranges}", replace(start, ranges=ranges))
    start = max(measured, key=measured.__getitem__)
    if measured[start] >= target:
        return start
    blocks = _blocks(checkpoint, start)
    names = layer_names(checkpoint.model)
    sensitivity = {}
    for block, layers in blocks.items():
        alone = Int8Recipe(_FAST_RANGES, tuple(name for name in names if name not in layers))
        sensitivity[block] = measure(f"{block} alone in int8, {len(part)} faces", alone, part)
    order = sorted(blocks, key=sensitivity.__getitem__)
    low, high = 1, len(order)
    while low < high:
        count = (low + high) // 2
        layers = tuple(layer for block in order[:count] for layer in blocks[block])
        name = f"{count} of {len(order)} blocks in float, from {order[0]}"
        recipe = replace(start, float_layers=(*start.float_layers, *layers))
        low, high = (low, count) if measure(name, recipe) >= target else (count + 1, high)
    reached = [recipe for recipe, agreement in measured.items() if agreement >= target]
    if reached:
        return min(reached, key=lambda recipe: len(recipe.float_layers))
    return max(measured, key=measured.__getitem__)


def search_target(min_agreement: float) -> float:
    """The agreement to reach on val: one point more, or halfway to 1 where that is less."""
    return min(min_agreement + _MARGIN, (1 + min_agreement) / 2)


def _blocks(checkpoint: Checkpoint, recipe: Int8Recipe) -> dict[str, tuple[str, ...]]:
    """The layers that aren't in float yet, grouped by the first two parts of their names."""
    blocks: dict[str, tuple[str, ...]] = {}
    for name in layer_names(checkpoint.model):
        if name not in recipe.float_layers:
            block = ".".join(name.split(".")[:2])
            blocks[block] = (*blocks.get(block, ()), name)
    return blocks
