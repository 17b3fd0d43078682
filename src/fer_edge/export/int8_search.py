"""Int8 by rounding alone, and the search for the layers that must stay in float."""

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
from fer_edge.train.calibrate import with_twin
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.evaluation.evaluate import matched
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.quantized import default_float_layers, layer_names

_MARGIN = 0.01
"""Two splits of 3,589 faces differ by chance by 0.4 points, in one of a hundred cases by 0.9."""
_RANGES: tuple[Ranges, ...] = ("answer", "mse", "percentile", "minmax")
_QUICK: Ranges = "mse"
_PROBED = 1024
"""Faces of val that a block's sensitivity is measured on."""


def default_int8_recipe(checkpoint: Checkpoint) -> Int8Recipe:
    """Ranges settled by the answer, and in float what never pays in int8."""
    layers = default_float_layers(checkpoint.model, checkpoint.spec.architecture)
    return Int8Recipe(float_layers=layers)


def read_int8_recipe(path: Path) -> Int8Recipe:
    """How an exported int8 file was rounded, to round another the same way.

    Raises:
        ConfigError: it isn't an int8 file, or its rounding was trained.
        ModelError, SpecError: the file can't be read.
    """
    quantization = read_spec(path).quantization
    recipe = quantization.int8
    if recipe is None or quantization.precision != "int8":
        raise ConfigError(f"{path}: isn't an int8 file, there is nothing to take over")
    if recipe.trained:
        raise ConfigError(f"{path}: its rounding was trained: export from its own checkpoint")
    return recipe


def quantize(checkpoint: Checkpoint, data: FaceData | None, recipe: Int8Recipe) -> Checkpoint:
    """The checkpoint with an int8 twin, its grids set from faces of train; nothing is trained.

    Raises:
        ConfigError: there is no data, or the recipe names a layer that the network doesn't have.
        DataError: train lacks a label or has fewer than 50 faces.
    """
    if data is None:
        raise ConfigError("int8 needs --data: its ranges are taken from faces of train")
    known = layer_names(checkpoint.model)
    if odd := sorted(set(recipe.float_layers) - set(known)):
        raise ConfigError(f"{checkpoint.spec.architecture} has no layer {odd[0]!r} to leave alone")
    return with_twin(checkpoint, data, recipe, f"rounded, ranges by {recipe.ranges}")


def search_int8_recipe(
    source: Path,
    data: FaceData,
    say: Callable[[str], None],
    wanted: float = DEFAULT_THRESHOLDS["int8"].agreement,
) -> Int8Recipe:
    """The recipe with the fewest blocks in float whose twin agrees with the float network on val.

    First the ranges: the way that agrees most. Then each block alone is rounded, on a part of val,
    to see how much it costs; then as many of the blocks that cost most are left in float as it
    takes, found by halving.

    Args:
        source: a checkpoint; its float network is searched, whether it holds a twin or not.
        data: train calibrates, val decides; test isn't looked at.
        say: takes each line of the table as it is found.
        wanted: the gate's bar: share of faces that must get the float network's label. The search
            goes on until one point more agree, since the gate will look at other faces; above a bar
            of 98 % until half of what may differ does.

    Returns:
        The recipe; the best one seen where none reaches `wanted`.

    Raises:
        DataError: there is no val split, or calibration can't be done.
    """
    checkpoint = checkpoints.load(source)
    val = matched(data, data.split("val"), checkpoint.spec, checkpoint.spec.name)
    reference = checkpoint.predict(val.pixels)
    places = np.random.default_rng(0).permutation(len(val))
    part = np.sort(places[:_PROBED])
    seen: dict[Int8Recipe, float] = {}

    def agreement(name: str, recipe: Int8Recipe, index: npt.NDArray[np.int64] = places) -> float:
        answers = quantize(checkpoint, data, recipe).int8().predict(val.pixels[index])
        found = float((answers.argmax(1) == reference[index].argmax(1)).mean())
        if index is places:
            seen[recipe] = found
        say(f"{name:<52} {found:10.2%}")
        return found

    wanted = search_target(wanted)
    say(f"{'int8 search on val':<52} same label")
    start = default_int8_recipe(checkpoint)
    for ranges in _RANGES:
        agreement(f"ranges by {ranges}", replace(start, ranges=ranges))
    start = max(seen, key=seen.__getitem__)
    if seen[start] >= wanted:
        return start
    blocks = _blocks(checkpoint, start)
    everything = layer_names(checkpoint.model)
    probed = {}
    for block, layers in blocks.items():
        others = tuple(name for name in everything if name not in layers)
        alone = Int8Recipe(_QUICK, others)
        probed[block] = agreement(f"{block} alone in int8, {len(part)} faces", alone, part)
    order = sorted(blocks, key=probed.__getitem__)
    fewest, most = 1, len(order)
    while fewest < most:
        count = (fewest + most) // 2
        layers = tuple(layer for block in order[:count] for layer in blocks[block])
        name = f"{count} of {len(order)} blocks in float, from {order[0]}"
        enough = agreement(name, _keeping(start, layers)) >= wanted
        fewest, most = (fewest, count) if enough else (count + 1, most)
    reached = [recipe for recipe, found in seen.items() if found >= wanted]
    if reached:
        return min(reached, key=lambda recipe: len(recipe.float_layers))
    return max(seen, key=seen.__getitem__)


def search_target(wanted: float) -> float:
    """The agreement on val that lets a bar of `wanted` be reached on other faces too, under 1."""
    return min(wanted + _MARGIN, (1 + wanted) / 2)


def _blocks(checkpoint: Checkpoint, recipe: Int8Recipe) -> dict[str, tuple[str, ...]]:
    """Layers that aren't in float yet, by the first two parts of their names."""
    blocks: dict[str, tuple[str, ...]] = {}
    for name in layer_names(checkpoint.model):
        if name not in recipe.float_layers:
            block = ".".join(name.split(".")[:2])
            blocks[block] = (*blocks.get(block, ()), name)
    return blocks


def _keeping(recipe: Int8Recipe, layers: tuple[str, ...]) -> Int8Recipe:
    return replace(recipe, float_layers=(*recipe.float_layers, *layers))
