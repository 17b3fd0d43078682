"""From answers and seconds to the figures of `benchmarks/peers/run.py`: no file, no process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""FER2013's, which every neighbour's are mapped to by name."""
ALSO_CALLED = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "scared": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
NOT_IN_FER2013 = frozenset({"contempt"})


@dataclass(frozen=True)
class Score:
    """Shares in [0, 1]: of all faces, and of those whose label the neighbour has.

    Attributes:
        everywhere, of: right answers as a share of all faces, and how many these are.
        on_own, own_of: the same on the faces whose label is one of its own.
        unanswered: faces that got no answer; they count as wrong.
    """

    everywhere: float
    of: int
    on_own: float
    own_of: int
    unanswered: int


def own_label(name: str) -> str | None:
    """A neighbour's label as FER2013 calls it; None where FER2013 has no such label.

    Raises:
        ValueError: nobody said what that name means.
    """
    plain = name.strip().lower()
    if plain in NOT_IN_FER2013:
        return None
    plain = ALSO_CALLED.get(plain, plain)
    if plain not in LABELS:
        raise ValueError(f"no label of FER2013 is called {name!r}: ALSO_CALLED can say which it is")
    return plain


def score(truth: Sequence[str], answers: Sequence[str | None], has: Sequence[str]) -> Score:
    """How often a neighbour is right.

    Args:
        truth: FER2013's label of each face.
        answers: the neighbour's, in its own words; None where it gave none.
        has: every label that the neighbour can give, in its own words.

    Raises:
        ValueError: a label that isn't known, an answer that isn't one of `has`, another number of
            answers than faces, or no face whose label the neighbour has.
    """
    known = {own_label(name) for name in has}
    named = [None if answer is None else own_label(answer) for answer in answers]
    if strange := {answer for answer in answers if answer is not None} - set(has):
        raise ValueError(f"answered {sorted(strange)[0]!r}, which isn't one of its labels")
    pairs = list(zip(truth, named, strict=True))
    own = [(right, answer) for right, answer in pairs if right in known]
    if not own:
        raise ValueError("no face has a label that it knows")
    return Score(
        sum(right == answer for right, answer in pairs) / len(pairs),
        len(pairs),
        sum(right == answer for right, answer in own) / len(own),
        len(own),
        sum(answer is None for answer in answers),
    )
