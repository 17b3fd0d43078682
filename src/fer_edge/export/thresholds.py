"""What a file must reach to be let out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["fp32", "fp16", "int8", "int8-qat"]
"""A precision, or "int8-qat": int8 whose rounding was trained in (quantization-aware)."""


@dataclass(frozen=True)
class Bars:
    """What a file must reach to be let out. Valid once made.

    Attributes:
        agreement: share of faces with the same label, in [0, 1].
        spare: so many faces may differ however few there are: one of 16 golden samples is 6 %.
        max_abs_logit_diff: the largest absolute difference of any logit, finite and above 0;
            None: any.
        accuracy_loss: the most that accuracy may fall, a share in [0, 1]; None: any.
        recall_loss: the most that any class's recall may fall, a share in [0, 1]; None: any.
        few: a loss of up to so many faces passes if chance explains it, that is, if it is at most
            twice the root of how many faces are right on one side alone. In a class of ten faces
            one is a tenth of the recall, whichever way it falls.

    Raises:
        ValueError: at construction, when a value is out of its range.
    """

    agreement: float
    spare: int = 0
    max_abs_logit_diff: float | None = None
    accuracy_loss: float | None = None
    recall_loss: float | None = None
    few: int = 0

    def __post_init__(self) -> None:
        for name in ("agreement", "accuracy_loss", "recall_loss"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} must be in [0, 1], not {share}")
        for name in ("spare", "few"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        most = self.max_abs_logit_diff
        if most is not None and not (math.isfinite(most) and most > 0):
            raise ValueError(f"max_abs_logit_diff must be finite and above 0, not {most}")


BARS: dict[Kind, Bars] = {
    "fp32": Bars(agreement=1.0, max_abs_logit_diff=1e-4),
    "fp16": Bars(agreement=0.999, max_abs_logit_diff=0.1, accuracy_loss=0.001),
    "int8": Bars(agreement=0.97, spare=1, accuracy_loss=0.005, recall_loss=0.03, few=5),
    "int8-qat": Bars(agreement=0.98, spare=1, accuracy_loss=0.005, recall_loss=0.03, few=5),
}

TRAIN_IT = "fer train --qat --from RUN trains the rounding in"
ADVICE: dict[Kind, str] = {
    "fp32": "a difference in fp32 is a bug of the export: report it",
    "fp16": "--precision fp32 keeps every weight as it is",
    "int8": f"--int8-search finds layers to leave in float; {TRAIN_IT}",
    "int8-qat": "fer train --qat for more epochs, or --precision fp16",
}
"""What to try with a file that missed a bar; after a search for layers, `TRAIN_IT` alone."""
