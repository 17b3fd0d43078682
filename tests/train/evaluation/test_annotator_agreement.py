from __future__ import annotations

import numpy as np
import pytest

from fer_edge.errors import DataError
from fer_edge.train.data.ferplus import COLUMNS, Votes
from fer_edge.train.evaluation.annotator_agreement import (
    AnnotatorAgreement,
    ConsensusLevel,
    VoteSupport,
    compare_with_annotators,
)
from fer_edge.train.evaluation.metrics import Report, wilson_interval

LABELS = ("angry", "happy", "sad")


def votes(*faces: dict[str, int]) -> Votes:
    return Votes(np.array([[face.get(name, 0) for name in COLUMNS] for face in faces], np.int64))


FACES = votes(
    {"happiness": 10},
    {"happiness": 6, "sadness": 4},
    {"sadness": 5, "anger": 5},
    {"contempt": 8, "anger": 2},
    {"NF": 7, "anger": 3},
    {"anger": 8, "sadness": 1, "unknown": 1},
    {"fear": 9, "sadness": 1},
)


def report(truth: list[int], predicted: list[int]) -> Report:
    probabilities = np.full((len(truth), len(LABELS)), 0.2, np.float32)
    probabilities[np.arange(len(truth)), predicted] = 0.6
    return Report("m", "test", LABELS, np.array(truth), probabilities)


def test_figures_counted_by_hand() -> None:
    found = compare_with_annotators(report([1, 2, 2, 0, 0, 0, 2], [1, 1, 0, 0, 1, 2, 2]), FACES)
    assert isinstance(found, AnnotatorAgreement)
    assert found.n == 3
    assert found.left_out == {
        "fear": 1, "contempt": 1, "no face": 1, "tied votes": 1,
    }  # fmt: skip
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.accuracy_interval == wilson_interval(2 / 3, 3)
    assert found.label_accuracy == pytest.approx(2 / 3)
    assert found.annotator_accuracy == pytest.approx((1 + 0.6 + 0.8) / 3)
    assert found.levels == (
        ConsensusLevel(6, 1, 1.0),
        ConsensusLevel(8, 1, 0.0),
        ConsensusLevel(10, 1, 1.0),
    )
    assert found.annotator_label_accuracy == pytest.approx(
        (1 + 0.4 + 0.5 + 0.2 + 0.3 + 0.8 + 0.1) / 7
    )
    # the errors: faces 1, 2, 4 and 5, predicted as happy, angry, happy and sad
    assert found.errors == 4
    assert found.errors_on_majority == 0.25
    assert found.error_support == VoteSupport(
        3 / 4, 2 / 4, pytest.approx((0.6 + 0.5 + 0 + 0.1) / 4)
    )
    assert found.label_support == VoteSupport(1, 1, pytest.approx((0.4 + 0.5 + 0.3 + 0.8) / 4))
    # sad faces (1, 2, 6) for happy and angry, angry ones (3, 4, 5) for happy and sad
    assert found.chance_support == VoteSupport(
        pytest.approx((1 / 3 + 1 / 3 + 0 + 1 / 3) / 4),
        pytest.approx((1 / 3 + 1 / 3 + 0 + 0) / 4),
        pytest.approx((0.2 + 0.5 / 3 + 0 + 0.1 / 3) / 4),
    )


def test_a_model_without_errors() -> None:
    found = compare_with_annotators(
        report([1, 1], [1, 1]), votes({"happiness": 10}, {"happiness": 9, "fear": 1})
    )
    assert (found.errors, found.errors_on_majority, found.error_support) == (
        0,
        0,
        VoteSupport(0, 0, 0),
    )
    assert found.chance_support == found.label_support == VoteSupport(0, 0, 0)


def test_what_cannot_be_compared() -> None:
    own = Report("m", "test", ("happy", "bored"), np.array([0]), np.ones((1, 2), np.float32))
    with pytest.raises(DataError, match=r"no votes for 'bored', only for neutral, happy"):
        compare_with_annotators(own, votes({"happiness": 10}))
    with pytest.raises(DataError, match="no face has a majority label"):
        compare_with_annotators(report([1], [1]), votes({"NF": 10}))
