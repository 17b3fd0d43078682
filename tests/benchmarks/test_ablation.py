"""The recipes and the table of benchmarks/ablation.py."""

from __future__ import annotations

import tomllib

import pytest
from benchmarks.ablation import COMMON, STEPS, Outcome, Step, contains, format_row, toml_line


def outcome(accuracy: float, loss: float = 1.0) -> Outcome:
    corrupted = {"accuracy": accuracy - 0.1, "ece": 0.04}
    return Outcome(loss, {"accuracy": accuracy, "ece": 0.02}, corrupted)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_recipe_is_toml_with_all_settings(step: Step) -> None:
    recipe = step.make_recipe({"weights": "base", "unlabelled": "faces"})
    read = tomllib.loads("".join(map(toml_line, recipe.items())))
    assert read == recipe
    assert read["epochs"] == 5
    assert None not in recipe.values()


def test_a_step_changes_and_removes_settings() -> None:
    step = Step("without", {"unlabelled": None, "ema": 0.5})
    recipe = step.make_recipe({"unlabelled": "faces"})
    assert recipe["ema"] == 0.5
    assert "unlabelled" not in recipe
    assert recipe["architecture"] == COMMON["architecture"]


def test_a_finished_run_may_have_more_settings_than_the_recipe() -> None:
    assert contains({"fraction": 0.4, "noise": 20.0}, {"fraction": 0.4})
    assert not contains({"fraction": 0.4}, {"fraction": 0.0})
    assert contains(5, 5)
    assert not contains(5, 6)


def test_differences_are_of_the_same_seeds() -> None:
    base = [outcome(0.60), outcome(0.70)]
    first = format_row(STEPS[0], base, base)
    assert first[:4] == ["as small", 2, "60.00 and 70.00 %", ""]
    other = format_row(Step("other"), [outcome(0.58, 1.25)], base)
    assert other == ["other", 1, "58.00 %", "-2.00", "1.250", "0.020", "48.00 %", "-2.00", "0.040"]
