"""What does each setting of the `finer` recipe change? Short runs on FER2013's validation split.

python -m benchmarks.ablation fer2013.tar.gz fer2013new.csv WEIGHTS RUNS [--seed N] [--keep]

WEIGHTS is the network that all runs start from (`first/model.safetensors` of docs/training.md),
fer2013new.csv FER+'s votes, RUNS a folder: an interrupted run is resumed there, a finished one is
reused. Each run is 2 epochs on one thread, where `finer` has 22, and so shows what helps early.
`--seed` trains the runs of one seed only, so that two cores share the work; run once more without
it for the table. Only PublicTest is used.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from benchmarks.lib.result_tables import save_result
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import Metrics
from fer_edge.train.callbacks import read_log
from fer_edge.train.recipe_files import read_recipe

COMMON = {
    **read_recipe("finer"),
    "epochs": 2,
    "lr": 1e-3,  # short runs from a trained network: finer's 2e-3 needs its 22 epochs to settle,
    "ema": 0.99,  # and its average of weights would look back over half the run
}


@dataclass(frozen=True)
class Step:
    """A variant of the recipe: settings beside `COMMON`; None removes one."""

    name: str
    changes: dict[str, object] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1)

    @property
    def settings(self) -> dict[str, object]:
        """All settings of the recipe."""
        both = {**COMMON, **self.changes}
        return {name: value for name, value in both.items() if value is not None}


STEPS = (
    Step("as finer: 96 px, votes 0.4"),
    Step("64 px", {"network_side": 64}),
    Step("labels alone", {"soft_targets": None}),
    Step("80 px", {"network_side": 80}, seeds=(0,)),
)
COLUMNS = ["training", "seeds", "accuracy", "difference", "loss", "macro F1", "calibration error"]


def toml_line(setting: tuple[str, object]) -> str:
    """A setting as a line of TOML."""
    name, value = setting
    if isinstance(value, dict):
        value = "{" + ", ".join(f"{key} = {one!r}" for key, one in value.items()) + "}"
        return f"{name} = {value}\n"
    return f"{name} = {value!r}\n"


@dataclass(frozen=True)
class Outcome:
    """Validation metrics of a run's best epoch; the loss has less noise than the accuracy."""

    metrics: Metrics
    loss: float


def train(step: Step, seed: int, given: argparse.Namespace) -> Outcome:
    """The outcome of a run, which is trained unless it is finished."""
    folder = given.runs / f"{re.sub(r'[^a-z0-9]+', '-', step.name)}-{seed}"
    model = folder / "model.safetensors"
    settings = {**step.settings, "seed": seed}
    if (folder / "config.json").exists():
        known = json.loads((folder / "config.json").read_text())
        wrong = (name for name, value in settings.items() if not contains(known[name], value))
        if odd := list(wrong):
            raise SystemExit(
                f"{folder}: a run with another {odd[0]}: remove it, or give another RUNS"
            )
    if not model.exists():
        command = [sys.executable, "-m", "fer_edge", "train", "--data", given.data]
        command += ["--output", str(folder)]
        if (folder / "config.json").exists():
            command.append("--resume")
        else:
            recipe = given.runs / f"{folder.name}.toml"
            recipe.write_text("".join(map(toml_line, settings.items())))
            command += ["--recipe", str(recipe), "--weights", given.weights]
            command += ["--ferplus", given.ferplus] if "soft_targets" in settings else []
        print(f"{step.name}, seed {seed}", flush=True)
        subprocess.run(command, check=True)
    (metrics,) = (one for one in read_spec(model).metrics if one.split == "val")
    epochs = read_log(folder / "metrics.csv")
    best = max(epochs, key=lambda row: float(row["val_accuracy"]))  # the first of several
    return Outcome(metrics, float(best["val_loss"]))


def contains(known: object, value: object) -> bool:
    if isinstance(known, dict) and isinstance(value, dict):
        return all(known[name] == one for name, one in value.items())
    return known == value


def format_row(step: Step, found: list[Outcome], base: list[Outcome]) -> list[str | int | float]:
    """The cells of a row; `base`: the first step's outcomes, compared at the same seeds."""
    reference = mean(one.metrics.accuracy for one in base[: len(found)])
    accuracies = [one.metrics.accuracy for one in found]
    joined = " and ".join(f"{100 * one:.2f}" for one in accuracies)
    return [
        step.name,
        len(found),
        f"{joined} %",
        "" if step is STEPS[0] else f"{100 * (mean(accuracies) - reference):+.2f}",
        " and ".join(f"{one.loss:.3f}" for one in found),
        f"{mean(one.metrics.macro_f1 for one in found):.3f}",
        f"{mean(one.metrics.ece for one in found):.3f}",
    ]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("data", "ferplus", "weights"):
        options.add_argument(name)
    options.add_argument("runs", type=Path)
    options.add_argument("--seed", type=int, help="train only this seed, without a table")
    options.add_argument("--keep", action="store_true")
    given = options.parse_args()
    if given.keep and given.seed is not None:
        options.error("--keep: the table is of all seeds, without --seed")
    given.runs.mkdir(parents=True, exist_ok=True)
    # one seed after the other, so that the first runs already compare all steps
    found: dict[str, list[Outcome]] = {step.name: [] for step in STEPS}
    for seed in sorted({seed for step in STEPS for seed in step.seeds}):
        for step in STEPS:
            if seed in step.seeds and given.seed in (None, seed):
                found[step.name].append(train(step, seed, given))
    if given.seed is not None:
        return
    rows = [format_row(step, found[step.name], found[STEPS[0].name]) for step in STEPS]
    for cells in [COLUMNS, *rows]:
        print("| " + " | ".join(map(str, cells)) + " |")
    if given.keep:
        command = "python -m benchmarks.ablation fer2013.tar.gz fer2013new.csv WEIGHTS RUNS --keep"
        model = read_spec(Path(given.weights)).title
        path = save_result("ablation", COLUMNS, rows, command=command, model=model)
        print(f"written: {path}", file=sys.stderr)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
