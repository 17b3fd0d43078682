"""An exported file beside its checkpoint, face by face, and which bars it missed."""

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
from fer_edge.export.thresholds import BARS, Bars, Kind
from fer_edge.spec import ModelSpec
from fer_edge.train.data.dataset import FaceData, Split
from fer_edge.train.evaluation.evaluate import Model, matched, predict_all
from fer_edge.train.networks.checkpoint import Checkpoint

_WHOLE = 1e-9
"""Shares of whole faces are compared in floating point: a loss of just the bar passes."""


def judge(parity: Parity, bars: Bars) -> Parity:
    """The same figures with the bars and a sentence for every one that was missed.

    Losses of accuracy and recall are counted from the float model where the file has one.
    """
    return replace(parity, bars=bars, failures=tuple(_missed(parity, bars)))


def _missed(parity: Parity, bars: Bars) -> Iterator[str]:
    where = parity.faces
    differ = round((1 - parity.agreement) * parity.n)
    if parity.agreement < bars.agreement - _WHOLE and differ > bars.spare:
        yield (
            f"label agreement on {where} is {parity.agreement:.4%} of {parity.n} faces, "
            f"{bars.agreement - parity.agreement:.4%} under the bar of {bars.agreement:.2%}"
        )
    most = bars.max_abs_logit_diff
    if not math.isfinite(parity.max_abs_logit_diff):
        yield f"some answers to {where} aren't numbers"
    elif most is not None and parity.max_abs_logit_diff > most:
        yield (
            f"max |Δlogit| on {where} is {parity.max_abs_logit_diff:.3g}, "
            f"{parity.max_abs_logit_diff / most:.3g} times the bar of {most:g}"
        )
    whose = "" if parity.accuracy_float is None else "the float model's "
    before, after = parity.accuracy_before, parity.accuracy_exported
    if before is not None and after is not None:
        few = _few(bars, parity.turned.values()) / parity.n
        yield from _loss("accuracy", where, whose, (before, after), bars.accuracy_loss, few)
    for label, recall in parity.recall_before.items():
        pair = (recall, parity.recall_exported[label])
        few = _few(bars, [parity.turned[label]]) / max(parity.support[label], 1)
        yield from _loss(f"recall of {label}", where, whose, pair, bars.recall_loss, few)


def _few(bars: Bars, turned: Iterable[int]) -> float:
    """How many faces may be lost by chance: twice the root of how many turned, up to the few."""
    return min(bars.few, 2 * math.sqrt(sum(turned)))


def _loss(
    what: str, where: str, whose: str, pair: tuple[float, float], most: float | None, few: float
) -> Iterator[str]:
    before, after = pair
    if most is not None and before - after > max(most, few) + _WHOLE:
        yield (
            f"{what} on {where} falls from {whose}{before:.2%} to {after:.2%}, by "
            f"{before - after - most:.2%} more than the bar of {most:.2%}"
        )


def kind_of(exported: Model, origin: Model | None = None) -> Kind:
    """Which default bars a file has: by its precision; with an origin it was trained for int8."""
    return exported.spec.quantization.precision if origin is None else "int8-qat"


def sides(checkpoint: Checkpoint, name: str, spec: ModelSpec) -> tuple[Model, Model | None]:
    """What a file with this spec is compared with, and the float model its losses count from.

    A file of a trained twin must answer as the twin does in PyTorch; any other as the float model.

    Raises:
        ModelError: the file is of a trained twin and the checkpoint holds none.
    """
    plain = Model(name, checkpoint.spec, checkpoint.predict)
    recipe = spec.quantization.int8
    if spec.quantization.precision != "int8" or recipe is None or not recipe.trained:
        return plain, None
    twin = checkpoint.int8()
    return Model(f"{name}'s int8 twin", twin.spec, twin.predict), plain


def compare(
    reference: Model,
    exported: Model,
    pixels: npt.NDArray[np.uint8],
    faces: str,
    truth: npt.NDArray[np.int64] | None = None,
    *,
    bars: Bars | None = None,
    origin: Model | None = None,
) -> Parity:
    """Answer uint8 faces `[N, S, S]` on every side once, and judge.

    Args:
        reference: PyTorch's side; for a quantization-aware file with its quantizers.
        exported: the file's side.
        pixels: the faces.
        faces: what they are, for the report.
        truth: their labels, int64 `[N]`, where they have any.
        bars: what to judge by; None: the defaults of `kind_of`.
        origin: the float model that a quantization-aware reference came from.

    Raises:
        DataError: the models have other labels or inputs: nothing can be compared.
    """
    models = [reference, exported] if origin is None else [reference, exported, origin]
    ours = reference.spec
    for model in models:
        for name in ("labels", "input"):
            if getattr(ours, name) != getattr(model.spec, name):
                raise DataError(
                    f"{model.name}: its {name} is {getattr(model.spec, name)}, "
                    f"that of {reference.name} {getattr(ours, name)}"
                )
    answers = [predict_all(model.predict, pixels) for model in models]
    parity = measure(answers[0], answers[1], exported.spec, faces, truth, *answers[2:])
    return judge(parity, BARS[kind_of(exported, origin)] if bars is None else bars)


def compare_all(
    reference: Model,
    exported: Model,
    data: FaceData | None,
    split: Split,
    *,
    bars: Bars | None = None,
    origin: Model | None = None,
) -> list[Parity]:
    """Compare on the golden samples and, where there is data, on every face of the split.

    For an int8 file that was only rounded, the golden samples' reference is the answer that PyTorch
    gave with the same rounding, which the file carries: they show that it is computed as it was
    meant, and the split shows what the rounding costs.

    Raises:
        DataError: as `compare`, or the data doesn't fit the models.
        ModelError: an int8 file carries no golden samples.
    """
    spec = reference.spec
    both = partial(compare, reference, exported, bars=bars, origin=origin)
    if kind_of(exported, origin) == "int8":
        theirs = exported.spec
        if not theirs.golden:
            raise ModelError(f"{exported.name}: has no golden samples: export it again")
        meant = Model("golden", theirs, lambda _: theirs.golden_logits())
        parities = [compare(meant, exported, theirs.golden_faces(), "golden", bars=bars)]
    else:
        parities = [both(draw_faces(spec.input.side), "golden")]
    if data is not None:
        faces = matched(data, data.split(split), spec, reference.name)
        parities.append(both(faces.pixels, split, faces.labels))
    return parities
