"""What does each part of the `small` recipe change? Short runs on FER2013's validation split.

python -m benchmarks.ablation fer2013.tar.gz fer2013new.csv TEACHER_LOGITS UNLABELLED RUNS
    [--weights base] [--keep]

fer2013new.csv is FER+'s votes, TEACHER_LOGITS and UNLABELLED are what `fer train` takes by these
names, RUNS a folder: an interrupted run is resumed there, a finished one is reused. Each run has 5
epochs, where `small` has more, and so shows what helps early. Only PublicTest is used, clean and
under the corruptions of `fer evaluate --corruptions`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.lib.result_tables import format_models, save_result, to_markdown
from fer_edge.runtime.formats.model_files import DEFAULT_MODEL, resolve_model
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.train.callbacks import read_log
from fer_edge.train.config import INITIAL_WEIGHTS
from fer_edge.train.recipe_files import read_recipe

COMMON = {**read_recipe("small"), "epochs": 5}
FILES = ("ferplus", "teacher_logits", "unlabelled")
"""Settings that the command line gives."""


@dataclass(frozen=True)
class Step:
    """A variant of the recipe: settings beside `COMMON`; None removes one."""

    name: str
    changes: dict[str, object] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)

    def make_recipe(self, given: dict[str, object]) -> dict[str, object]:
        """All settings; `given`: those of the command line."""
        both = {**COMMON, **given, **self.changes}
        return {name: value for name, value in both.items() if value is not None}


STEPS = (
    Step("as small", seeds=(0, 1)),
    Step("without unlabelled faces", {"unlabelled": None}),
    Step("without teachers", dict.fromkeys(("unlabelled", "teacher_logits", "teacher_weight"))),
    Step("without corruption", {"corruption": {"fraction": 0.0}}),
    Step("from random weights", {"weights": "none"}),
)
COLUMNS = ["training", "seeds", "accuracy", "difference", "loss", "calibration error"]
COLUMNS += ["corrupted: accuracy", "difference", "calibration error"]


def toml_line(setting: tuple[str, object]) -> str:
    """A setting as a line of TOML."""
    name, value = setting
    if isinstance(value, dict):
        value = "{" + ", ".join(f"{key} = {one!r}" for key, one in value.items()) + "}"
        return f"{name} = {value}\n"
    return f"{name} = {value!r}\n"


@dataclass(frozen=True)
class Outcome:
    """A run's network on the validation split, clean and as the mean over all corruptions.

    The loss, of the best epoch, has less noise than the accuracy.
    """

    loss: float
    clean: dict[str, Any]
    corrupted: dict[str, Any]


def train(step: Step, seed: int, given: argparse.Namespace) -> Outcome:
    """The outcome of a run, which is trained unless it is finished."""
    folder = given.runs / f"{re.sub(r'[^a-z0-9]+', '-', step.name)}-{seed}"
    model = folder / "model.safetensors"
    files = {name: str(Path(getattr(given, name)).resolve()) for name in FILES}
    recipe = {**step.make_recipe({"weights": given.weights, **files}), "seed": seed}
    if (folder / "config.json").exists():
        known = json.loads((folder / "config.json").read_text())
        wrong = (name for name, value in recipe.items() if not contains(known[name], value))
        if odd := list(wrong):
            raise SystemExit(
                f"{folder}: a run with another {odd[0]}: remove it, or give another RUNS"
            )
    command = [sys.executable, "-m", "fer_edge"]
    if not model.exists():
        begin = ["--resume"]
        if not (folder / "config.json").exists():
            path = given.runs / f"{folder.name}.toml"
            path.write_text("".join(map(toml_line, recipe.items())))
            begin = ["--recipe", str(path)]
        print(f"{step.name}, seed {seed}", flush=True)
        own = ["train", "--data", given.data, "--output", str(folder), *begin]
        subprocess.run([*command, *own], check=True)
    report = folder / "corruptions.json"
    if not report.exists():
        own = ["evaluate", str(model), "--data", given.data, "--split", "val", "--corruptions"]
        done = subprocess.run([*command, *own, "--json"], check=True, stdout=subprocess.PIPE)
        report.write_bytes(done.stdout)
    found = json.loads(report.read_bytes())["corruptions"]
    epochs = read_log(folder / "metrics.csv")
    best = max(epochs, key=lambda row: float(row["val_accuracy"]))  # the first of several
    return Outcome(float(best["val_loss"]), found["clean"], found["mean"])


def contains(known: object, value: object) -> bool:
    if isinstance(known, dict) and isinstance(value, dict):
        return all(known[name] == one for name, one in value.items())
    return known == value


def format_row(step: Step, found: list[Outcome], base: list[Outcome]) -> list[str | int | float]:
    """The cells of a row; `base`: the first step's outcomes, compared at the same seeds."""
    cells: list[str | int | float] = [step.name, len(found)]
    for part in ("clean", "corrupted"):
        own, first = (
            [100 * getattr(one, part)["accuracy"] for one in outcomes]
            for outcomes in (found, base[: len(found)])
        )
        cells.append(" and ".join(f"{one:.2f}" for one in own) + " %")
        cells.append("" if step is STEPS[0] else f"{mean(own) - mean(first):+.2f}")
        if part == "clean":
            cells.append(" and ".join(f"{one.loss:.3f}" for one in found))
        cells.append(f"{mean(getattr(one, part)['ece'] for one in found):.3f}")
    return cells


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("data", *FILES):
        options.add_argument(name)
    options.add_argument("runs", type=Path)
    options.add_argument("--weights", default=DEFAULT_MODEL)
    options.add_argument("--keep", action="store_true")
    given = options.parse_args()
    if given.weights not in INITIAL_WEIGHTS:
        given.weights = str(Path(given.weights).resolve())
    title = read_spec(resolve_model(given.weights)).title  # found now, not after all runs
    given.runs.mkdir(parents=True, exist_ok=True)
    # one seed after the other, so that the first runs already compare all steps
    found: dict[str, list[Outcome]] = {step.name: [] for step in STEPS}
    for seed in sorted({seed for step in STEPS for seed in step.seeds}):
        for step in STEPS:
            if seed in step.seeds:
                found[step.name].append(train(step, seed, given))
    rows = [format_row(step, found[step.name], found[STEPS[0].name]) for step in STEPS]
    print(to_markdown(COLUMNS, rows))
    if given.keep:
        command = "python -m benchmarks.ablation fer2013.tar.gz fer2013new.csv teachers.safetensors"
        weights = format_models([given.weights])
        command = f"{command} faces RUNS{weights and ' --weights'}{weights} --keep"
        path = save_result("ablation", COLUMNS, rows, command=command, model=title)
        print(f"written: {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
