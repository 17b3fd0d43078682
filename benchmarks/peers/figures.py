"""Accuracy of a peer from the labels that it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fer_edge.train.data.class_folders import SYNONYMS
from fer_edge.train.data.fer2013 import LABELS

NOT_IN_FER2013 = frozenset({"contempt"})


@dataclass(frozen=True)
class Score:
    """Accuracies in [0, 1]: on all faces, and on those whose label the peer has.

    Attributes:
        accuracy, n: on all faces, and their number.
        own_accuracy, own_n: on the faces whose label is one of the peer's, and their number.
        missing: faces without a prediction, which count as wrong.
    """

    accuracy: float
    n: int
    own_accuracy: float
    own_n: int
    missing: int


def to_fer2013(name: str) -> str | None:
    """A peer's label as FER2013 calls it; None where FER2013 has no such label.

    Raises:
        ValueError: the name is neither FER2013's nor a known synonym.
    """
    plain = name.strip().lower()
    if plain in NOT_IN_FER2013:
        return None
    plain = SYNONYMS.get(plain, plain)
    if plain not in LABELS:
        raise ValueError(f"FER2013 has no label {name!r}: add it to SYNONYMS")
    return plain


def score(truth: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> Score:
    """Compare a peer's predictions with FER2013's labels.

    Args:
        truth: FER2013's label of each face.
        predicted: the peer's labels, as it calls them; None where it predicted none.
        labels: every label that the peer can predict, as it calls them.

    Raises:
        ValueError: an unknown label, a prediction that isn't one of `labels`, another number of
            predictions than faces, or no face whose label the peer has.
    """
    known = {to_fer2013(name) for name in labels}
    mapped = [None if label is None else to_fer2013(label) for label in predicted]
    if unknown := {label for label in predicted if label is not None} - set(labels):
        raise ValueError(f"predicted {min(unknown)!r}, which isn't one of its labels")
    pairs = list(zip(truth, mapped, strict=True))
    own = [pair for pair in pairs if pair[0] in known]
    if not own:
        raise ValueError("no face has one of its labels")
    return Score(
        sum(label == right for right, label in pairs) / len(pairs),
        len(pairs),
        sum(label == right for right, label in own) / len(own),
        len(own),
        sum(label is None for label in predicted),
    )
