"""The parity thresholds of each precision, and the gate that enforces them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from fer_edge.documents import read_toml
from fer_edge.errors import ConfigError
from fer_edge.schema import parse
from fer_edge.spec import GateState

ThresholdKind = Literal["fp32", "fp16", "int8", "int8-qat"]
"""A precision; int8 (post-training quantization) and int8-qat (quantization-aware training) differ.
"""


@dataclass(frozen=True)
class Thresholds:
    """What an exported file must reach to be kept. Valid once made.

    Attributes:
        agreement: minimum fraction of faces with the same label as PyTorch, in [0, 1].
        allowed_mismatches: number of faces that may differ whatever `agreement` says; one of the
            16 golden samples is already 6 %.
        max_abs_logit_diff: maximum absolute difference of any logit, finite and above 0; None: no
            limit.
        accuracy_loss: maximum drop in accuracy, in [0, 1]; None: no limit.
        recall_loss: maximum drop in the recall of any class, in [0, 1]; None: no limit.
        max_chance_losses: a drop of up to this many faces passes where chance explains it: where
            it is at most 2 sqrt(f), with f the faces that exactly one model classifies correctly
            (two standard deviations of McNemar's test). In a class of ten faces, one face is a
            tenth of the recall.

    Raises:
        ValueError: at construction, when a value is out of its range.
    """

    agreement: float
    allowed_mismatches: int = 0
    max_abs_logit_diff: float | None = None
    accuracy_loss: float | None = None
    recall_loss: float | None = None
    max_chance_losses: int = 0

    def __post_init__(self) -> None:
        for name in ("agreement", "accuracy_loss", "recall_loss"):
            fraction = getattr(self, name)
            if fraction is not None and not 0 <= fraction <= 1:
                raise ValueError(f"{name} must be in [0, 1], not {fraction}")
        for name in ("allowed_mismatches", "max_chance_losses"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        limit = self.max_abs_logit_diff
        if limit is not None and not (math.isfinite(limit) and limit > 0):
            raise ValueError(f"max_abs_logit_diff must be finite and above 0, not {limit}")


_INT8 = Thresholds(
    agreement=0.97, allowed_mismatches=1, accuracy_loss=0.005, recall_loss=0.03, max_chance_losses=5
)
DEFAULT_THRESHOLDS: dict[ThresholdKind, Thresholds] = {
    "fp32": Thresholds(agreement=1.0, max_abs_logit_diff=1e-4),
    "fp16": Thresholds(agreement=0.999, max_abs_logit_diff=0.1, accuracy_loss=0.001),
    "int8": _INT8,
    "int8-qat": replace(_INT8, agreement=0.98),
}

TRAIN_QAT = "train with quantization: fer train --qat --from RUN"
ADVICE: dict[ThresholdKind, str] = {
    "fp32": "a difference in fp32 is a bug in the export: please report it",
    "fp16": "use --precision fp32, which stores every weight without loss",
    "int8": f"use --int8-search to find the layers that must stay in float, or {TRAIN_QAT}",
    "int8-qat": "run fer train --qat for more epochs, or use --precision fp16",
}
"""What to try with a file that misses a threshold; after an int8 search, `TRAIN_QAT` alone."""


@dataclass(frozen=True)
class Gate:
    """The thresholds that hold for an export, and whether they are enforced. Valid once made.

    Attributes:
        tables: thresholds that replace the defaults of a kind.
        changes: single thresholds, by their name in `Thresholds`, that apply to every kind on top
            of the tables. A change of a loss also sets `max_chance_losses` to 0.
        enforced: whether a file that misses a threshold is refused.

    Raises:
        ValueError: at construction, when a change is out of range.
    """

    tables: Mapping[ThresholdKind, Thresholds] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    enforced: bool = True

    def __post_init__(self) -> None:
        for kind in DEFAULT_THRESHOLDS:
            self.thresholds(kind)

    def thresholds(self, kind: ThresholdKind) -> Thresholds:
        """The thresholds for a file of this kind."""
        return replace(self.tables.get(kind, DEFAULT_THRESHOLDS[kind]), **_strict(self.changes))

    def state(self, kind: ThresholdKind) -> GateState:
        """How a file of this kind is checked, as its spec records it."""
        if not self.enforced:
            return "off"
        return "default" if self.thresholds(kind) == DEFAULT_THRESHOLDS[kind] else "changed"


def _strict(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes; a loss that the user sets is exact, without an allowance for chance."""
    sets_loss = {"accuracy_loss", "recall_loss"} & set(changes)
    return {**({"max_chance_losses": 0} if sets_loss else {}), **changes}


DEFAULT_GATE = Gate()


def read_gate(path: Path) -> dict[ThresholdKind, Thresholds]:
    """Read thresholds from a TOML file: tables such as `[int8]` with the keys of `Thresholds`.

    A table or key that is left out keeps its default.

    Raises:
        ConfigError: the file can't be read, or a table or key is unknown, of the wrong type or out
            of range.
    """
    try:
        document = read_toml(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not a TOML file ({error})") from None
    if unknown := sorted(set(document) - set(DEFAULT_THRESHOLDS)):
        known = ", ".join(DEFAULT_THRESHOLDS)
        raise ConfigError(f"{path}: unknown table {unknown[0]!r}; the tables are {known}")
    tables: dict[ThresholdKind, Thresholds] = {}
    for kind, defaults in DEFAULT_THRESHOLDS.items():
        table = document.get(kind, {})
        values = {**asdict(defaults), **_strict(table)} if isinstance(table, dict) else table
        try:
            tables[kind] = parse(Thresholds, values, f"{path}: {kind}", unknown="reject")
        except ValueError as error:
            raise ConfigError(str(error)) from None
    return tables
