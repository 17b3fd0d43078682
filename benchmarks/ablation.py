"""What single settings of the `finer` recipe do on FER2013's validation split, in short runs.

python -m benchmarks.ablation fer2013.tar.gz fer2013new.csv WEIGHTS RUNS [--seed N] [--keep]

WEIGHTS is the network that all begin with (`first/model.safetensors` of docs/training.md),
fer2013new.csv FER+'s votes, RUNS a folder: a run that was interrupted is resumed there, one that is
done isn't done again. Each is 2 epochs on one thread, where `finer` takes 22: that tells what helps
early. `--seed` trains those of one seed alone, so that two cores share the work; then once more
without it for the table. PublicTest alone is asked.
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
from fer_edge.train.config import read_recipe

COMMON = {
    **read_recipe("finer"),
    "epochs": 2,
    "lr": 1e-3,  # short runs from a trained network: finer's 2e-3 needs its 22 epochs to settle,
    "ema": 0.99,  # and its average of weights would look back over half the run
}


@dataclass(frozen=True)
class Step:
    """One way to train: what it sets beside `COMMON`; None takes a setting out."""

    name: str
    sets: dict[str, object] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1)

    @property
    def settings(self) -> dict[str, object]:
        """As a recipe has them."""
        both = {**COMMON, **self.sets}
        return {name: value for name, value in both.items() if value is not None}


STEPS = (
    Step("as finer: 96 px, votes 0.4"),
    Step("64 px", {"network_side": 64}),
    Step("labels alone", {"soft_targets": None}),
    Step("80 px", {"network_side": 80}, seeds=(0,)),
)
COLUMNS = ["training", "seeds", "accuracy", "difference", "loss", "macro F1", "calibration error"]


def line(setting: tuple[str, object]) -> str:
    """One of a TOML file."""
    name, value = setting
    if isinstance(value, dict):
        value = "{" + ", ".join(f"{key} = {one!r}" for key, one in value.items()) + "}"
        return f"{name} = {value}\n"
    return f"{name} = {value!r}\n"


@dataclass(frozen=True)
class Found:
    """Of a run's kept epoch, on validation: its loss moves less by chance than its accuracy."""

    metrics: Metrics
    loss: float


def train(step: Step, seed: int, given: argparse.Namespace) -> Found:
    """What a run came to; it is trained if that isn't done."""
    folder = given.runs / f"{re.sub(r'[^a-z0-9]+', '-', step.name)}-{seed}"
    model = folder / "model.safetensors"
    wanted = {**step.settings, "seed": seed}
    if (folder / "config.json").exists():
        known = json.loads((folder / "config.json").read_text())
        wrong = (name for name, value in wanted.items() if not holds(known[name], value))
        if odd := list(wrong):
            raise SystemExit(
                f"{folder}: a run of another {odd[0]}: remove it, or name another RUNS"
            )
    if not model.exists():
        command = [sys.executable, "-m", "fer_edge", "train", "--data", given.data]
        command += ["--output", str(folder)]
        if (folder / "config.json").exists():
            command.append("--resume")
        else:
            recipe = given.runs / f"{folder.name}.toml"
            recipe.write_text("".join(map(line, wanted.items())))
            command += ["--recipe", str(recipe), "--weights", given.weights]
            command += ["--ferplus", given.ferplus] if "soft_targets" in wanted else []
        print(f"{step.name}, seed {seed}", flush=True)
        subprocess.run(command, check=True)
    (metrics,) = (one for one in read_spec(model).metrics if one.split == "val")
    epochs = read_log(folder / "metrics.csv")
    best = max(epochs, key=lambda row: float(row["val_accuracy"]))  # the first of equals is kept
    return Found(metrics, float(best["val_loss"]))


def holds(known: object, value: object) -> bool:
    if isinstance(known, dict) and isinstance(value, dict):
        return all(known[name] == one for name, one in value.items())
    return known == value


def row(step: Step, found: list[Found], base: list[Found]) -> list[str | int | float]:
    """`base` are the first step's: a difference is taken among the same seeds."""
    alike = mean(one.metrics.accuracy for one in base[: len(found)])
    accuracies = [one.metrics.accuracy for one in found]
    each = " and ".join(f"{100 * one:.2f}" for one in accuracies)
    return [
        step.name,
        len(found),
        f"{each} %",
        "" if step is STEPS[0] else f"{100 * (mean(accuracies) - alike):+.2f}",
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
    options.add_argument("--seed", type=int, help="train those of it alone; no table")
    options.add_argument("--keep", action="store_true")
    given = options.parse_args()
    if given.keep and given.seed is not None:
        options.error("what is kept has every seed")
    given.runs.mkdir(parents=True, exist_ok=True)
    # a seed after the other, so that what is there first compares all steps
    found: dict[str, list[Found]] = {step.name: [] for step in STEPS}
    for seed in sorted({seed for step in STEPS for seed in step.seeds}):
        for step in STEPS:
            if seed in step.seeds and given.seed in (None, seed):
                found[step.name].append(train(step, seed, given))
    if given.seed is not None:
        return
    rows = [row(step, found[step.name], found[STEPS[0].name]) for step in STEPS]
    for cells in [COLUMNS, *rows]:
        print("| " + " | ".join(map(str, cells)) + " |")
    if given.keep:
        command = "python -m benchmarks.ablation fer2013.tar.gz fer2013new.csv WEIGHTS RUNS --keep"
        print(
            f"written: {save_result('ablation', COLUMNS, rows, command=command)}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
