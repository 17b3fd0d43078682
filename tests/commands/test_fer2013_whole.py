"""What the README and the model card claim, on the real data; needs FER2013 in the environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fer_edge.runtime.formats.model_files import BUNDLED, bundled
from fer_edge.runtime.formats.spec_reader import read_spec
from tests.support.commands import Fer

pytestmark = pytest.mark.slow


def test_the_official_counts(fer2013: Path, fer: Fer) -> None:
    document = json.loads(fer("data", "inspect", fer2013, "--json").out)
    counts = {split: sum(by_label.values()) for split, by_label in document["counts"].items()}
    assert counts == {"train": 28_709, "val": 3_589, "test": 3_589}
    assert list(document["counts"]["test"].values()) == [491, 55, 528, 879, 594, 416, 626]
    assert document["bad"] == []


@pytest.mark.parametrize("name", BUNDLED)
def test_a_model_of_the_package_answers_as_its_checkpoint(
    name: str, fer2013: Path, fer: Fer
) -> None:
    ran = fer("parity", name, name, "--data", fer2013, "--json")
    assert ran.code == 0, ran.out
    golden, test = map(json.loads, ran.out.splitlines())
    assert golden["passed"]
    assert (test["n"], test["agreement"], test["failures"]) == (3_589, 1.0, [])
    assert test["max_abs_logit_diff"] <= 1e-4


@pytest.mark.parametrize("name", BUNDLED)
def test_a_model_of_the_package_is_as_good_as_its_spec_says(
    name: str, fer2013: Path, fer: Fer, tmp_path: Path
) -> None:
    ran = fer("evaluate", name, "--data", fer2013, "--json", "--output", tmp_path)
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    (claimed,) = (m for m in read_spec(bundled("model", name)).metrics if m.split == "test")
    assert document["n"] == claimed.n == 3_589
    assert document["accuracy"] >= 0.66
    for metric in ("accuracy", "balanced_accuracy", "macro_f1", "ece"):
        assert document[metric] == pytest.approx(getattr(claimed, metric), abs=1e-3)
