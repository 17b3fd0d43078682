"""Compares an exported file with its checkpoint and checks the thresholds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError, ModelError
from fer_edge.export.golden import draw_faces
from fer_edge.export.parity import Parity, measure
from fer_edge.export.thresholds import DEFAULT_THRESHOLDS, ThresholdKind, Thresholds
from fer_edge.spec import ModelSpec
from fer_edge.train.data.dataset import FaceData, Split
from fer_edge.train.evaluation.evaluate import Model, match_labels, predict_all
from fer_edge.train.networks.checkpoint import Checkpoint

_TOLERANCE = 1e-9
"""Fractions of whole faces are rounded in floating point: a loss equal to its threshold passes."""


def check_thresholds(parity: Parity, thresholds: Thresholds) -> Parity:
    """The same figures with the thresholds and one sentence for each threshold missed.

    Losses of accuracy and recall are measured against the float model where there is one.
    """
    return replace(parity, thresholds=thresholds, failures=tuple(_failures(parity, thresholds)))


def _failures(parity: Parity, thresholds: Thresholds) -> Iterator[str]:
    where = parity.faces
    mismatches = round((1 - parity.agreement) * parity.n)
    missing = thresholds.agreement - parity.agreement
    if missing > _TOLERANCE and mismatches > thresholds.allowed_mismatches:
        yield (
            f"label agreement on {where} is {parity.agreement:.4%} of {parity.n} faces, "
            f"{missing:.4%} below the threshold of {thresholds.agreement:.2%}"
        )
    limit = thresholds.max_abs_logit_diff
    if not math.isfinite(parity.max_abs_logit_diff):
        yield f"some logits on {where} are NaN or infinite"
    elif limit is not None and parity.max_abs_logit_diff > limit:
        yield (
            f"max |Δlogit| on {where} is {parity.max_abs_logit_diff:.3g}, "
            f"{parity.max_abs_logit_diff / limit:.3g} times the threshold of {limit:g}"
        )
    baseline = "" if parity.accuracy_float is None else "the float model's "
    before, after = parity.baseline_accuracy, parity.accuracy_exported
    if before is not None and after is not None:
        chance = _chance_losses(thresholds, parity.flipped.values()) / parity.n
        limits = thresholds.accuracy_loss, chance
        yield from _loss(f"accuracy on {where}", baseline, (before, after), *limits)
    for label, recall in parity.baseline_recall.items():
        pair = (recall, parity.recall_exported[label])
        chance = _chance_losses(thresholds, [parity.flipped[label]]) / max(parity.support[label], 1)
        name = f"recall of {label} on {where}"
        yield from _loss(name, baseline, pair, thresholds.recall_loss, chance)


def _chance_losses(thresholds: Thresholds, flipped: Iterable[int]) -> float:
    """How many faces may be lost by chance; see `Thresholds.max_chance_losses`."""
    return min(thresholds.max_chance_losses, 2 * math.sqrt(sum(flipped)))


def _loss(
    name: str, baseline: str, pair: tuple[float, float], limit: float | None, chance: float
) -> Iterator[str]:
    before, after = pair
    if limit is not None and before - after > max(limit, chance) + _TOLERANCE:
        yield (
            f"{name} falls from {baseline}{before:.2%} to {after:.2%}, by "
            f"{before - after - limit:.2%} more than the threshold of {limit:.2%}"
        )


def threshold_kind(exported: Model, float_model: Model | None = None) -> ThresholdKind:
    """Which default thresholds apply: those of the precision; with a float model, of a QAT file."""
    return exported.spec.quantization.precision if float_model is None else "int8-qat"


def reference_models(
    checkpoint: Checkpoint, name: str, spec: ModelSpec
) -> tuple[Model, Model | None]:
    """The PyTorch model that a file with this spec must reproduce, and the float model behind it.

    A file of a QAT model is compared with the QAT model, and its losses are measured against the
    float model. Any other file is compared with the float model alone; the second is then None.

    Raises:
        ModelError: the file comes from a QAT model and the checkpoint holds none.
    """
    float_model = Model(name, checkpoint.spec, checkpoint.predict)
    recipe = spec.quantization.int8
    if spec.quantization.precision != "int8" or recipe is None or not recipe.trained:
        return float_model, None
    quantized = checkpoint.int8()
    return Model(f"{name} (quantized model)", quantized.spec, quantized.predict), float_model


def compare(
    reference: Model,
    exported: Model,
    pixels: npt.NDArray[np.uint8],
    faces: str,
    truth: npt.NDArray[np.int64] | None = None,
    *,
    thresholds: Thresholds | None = None,
    float_model: Model | None = None,
) -> Parity:
    """Predict uint8 faces `[N, S, S]` once with each model and check the thresholds.

    Args:
        reference: the PyTorch model; for a QAT file the one with its quantizers.
        exported: the exported file.
        pixels: the faces.
        faces: their name in the report.
        truth: their labels, int64 `[N]`, or None.
        thresholds: None: the defaults of `threshold_kind`.
        float_model: the float model that a QAT reference was trained from.

    Raises:
        DataError: the models differ in labels or input, so they can't be compared.
    """
    models = [reference, exported] if float_model is None else [reference, exported, float_model]
    for model in models:
        for name in ("labels", "input"):
            expected, found = getattr(reference.spec, name), getattr(model.spec, name)
            if expected != found:
                raise DataError(
                    f"{model.name}: its {name} is {found}, but {reference.name} has {expected}"
                )
    logits = [predict_all(model.predict, pixels) for model in models]
    parity = measure(logits[0], logits[1], exported.spec, faces, truth, *logits[2:])
    if thresholds is None:
        thresholds = DEFAULT_THRESHOLDS[threshold_kind(exported, float_model)]
    return check_thresholds(parity, thresholds)


def compare_all(
    reference: Model,
    exported: Model,
    data: FaceData | None,
    split: Split,
    *,
    thresholds: Thresholds | None = None,
    float_model: Model | None = None,
) -> list[Parity]:
    """Compare on the golden samples and, where there is data, on every face of the split.

    A PTQ file is compared on the golden samples with the logits that it carries, which PyTorch
    computed with the same quantization: this shows that the engine computes the file correctly.
    The split shows what the quantization costs.

    Raises:
        DataError: as `compare`, or the data doesn't fit the models.
        ModelError: an int8 file carries no golden samples.
    """
    spec = reference.spec
    run = partial(compare, reference, exported, thresholds=thresholds, float_model=float_model)
    if threshold_kind(exported, float_model) == "int8":
        stored = exported.spec
        if not stored.golden:
            raise ModelError(f"{exported.name}: has no golden samples: export it again")
        quantized = Model("golden", stored, lambda _: stored.golden_logits())
        faces = stored.golden_faces()
        parities = [compare(quantized, exported, faces, "golden", thresholds=thresholds)]
    else:
        parities = [run(draw_faces(spec.input.side), "golden")]
    if data is not None:
        labelled = match_labels(data, data.split(split), spec, reference.name)
        parities.append(run(labelled.pixels, split, labelled.labels))
    return parities
