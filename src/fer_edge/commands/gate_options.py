"""The options of `fer export` and `fer parity` that set the parity thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fer_edge.commands.options import THRESHOLDS, option
from fer_edge.errors import ConfigError
from fer_edge.export.thresholds import DEFAULT_THRESHOLDS

if TYPE_CHECKING:
    from fer_edge.export.thresholds import Gate


def _with_defaults(name: str, text: str) -> str:
    """A help text with the default threshold of each precision."""
    values = {kind: getattr(one, name) for kind, one in DEFAULT_THRESHOLDS.items()}
    shown = (f"{kind} {value:g}" for kind, value in values.items() if value is not None)
    return f"{text} Defaults: {', '.join(shown)}."


GateFile = Annotated[
    Path | None,
    option(
        THRESHOLDS,
        "--gate",
        help="TOML file of thresholds: a table per precision, such as int8 with agreement = 0.99.",
    ),
]
MinAgreement = Annotated[
    float | None,
    option(
        THRESHOLDS,
        "--min-agreement",
        help=_with_defaults(
            "agreement", "Minimum fraction of faces with the same label as PyTorch, from 0 to 1."
        ),
    ),
]
MaxAccuracyLoss = Annotated[
    float | None,
    option(
        THRESHOLDS,
        "--max-accuracy-loss",
        help=_with_defaults(
            "accuracy_loss", "Maximum drop in accuracy against PyTorch, as a fraction from 0 to 1."
        ),
    ),
]
MaxRecallLoss = Annotated[
    float | None,
    option(
        THRESHOLDS,
        "--max-recall-loss",
        help=_with_defaults(
            "recall_loss",
            "Maximum drop in any class's recall against PyTorch, as a fraction from 0 to 1.",
        ),
    ),
]
MaxLogitDiff = Annotated[
    float | None,
    option(
        THRESHOLDS,
        "--max-logit-diff",
        help=_with_defaults(
            "max_abs_logit_diff", "Maximum absolute difference of any logit from PyTorch's."
        ),
    ),
]


def make_gate(
    file: Path | None,
    agreement: float | None,
    accuracy_loss: float | None,
    recall_loss: float | None,
    max_abs_logit_diff: float | None,
    *,
    off: bool = False,
) -> Gate:
    """The gate that the options describe.

    Raises:
        ConfigError: a threshold is out of range, or the options contradict each other.
    """
    from fer_edge.export.thresholds import Gate, read_gate

    options = {
        "agreement": agreement,
        "accuracy_loss": accuracy_loss,
        "recall_loss": recall_loss,
        "max_abs_logit_diff": max_abs_logit_diff,
    }
    changes = {name: value for name, value in options.items() if value is not None}
    if off and (file or changes):
        raise ConfigError("--no-gate refuses no file: leave out either it or the thresholds")
    try:
        return Gate({} if file is None else read_gate(file), changes, enforced=not off)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None
