"""What single settings of a training gain on FER2013's validation split, in short runs.

python benchmarks/ablation.py fer2013.tar.gz fer2013new.csv WEIGHTS RUNS [--only WORD] [--keep]

WEIGHTS is a file of ImageNet weights (or "imagenet"), fer2013new.csv FER+'s votes, RUNS a folder: a
run that was interrupted is resumed there, one that is done isn't done again. Each is 12 epochs of
MobileNetV2 that sees 48 px: a quarter of an hour on one core, enough to tell what helps early, not
what helps a network that is trained five times as long. PublicTest alone is asked.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import kept

from fer_edge.runtime.specfile import read_spec
from fer_edge.spec import Metrics

COMMON = {
    "architecture": "mobilenet_v2",
    "network_side": 48,
    "epochs": 12,
    "lr": 1.5e-3,
    "schedule": "cosine",
    "freeze_epochs": 0,
    "label_smoothing": 0.0,
}


@dataclass(frozen=True)
class Step:
    """One way to train: what it sets beside `COMMON`, and with which seeds it is run."""

    name: str
    sets: dict[str, object] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)


_VOTES = {"soft_targets": 0.4}
_STRONGER = {"rotation": 20.0, "scale": 0.2, "shift": 0.1, "erase": 0.5, "erase_area": 0.25}
STEPS = (
    Step("labels alone", seeds=(0, 1)),
    Step("soft targets 0.4", _VOTES, seeds=(0, 1)),
    Step("label smoothing 0.1", {"label_smoothing": 0.1}),
    Step("soft targets 0.4, stronger augmentation", {**_VOTES, "augmentation": _STRONGER}),
    Step("soft targets 0.4, mixup 0.2", {**_VOTES, "mixup": 0.2}),
    Step("soft targets 0.4, classes alike 0.3", {**_VOTES, "class_balance": 0.3}),
    Step("soft targets 0.4, no average of weights", {**_VOTES, "ema": 0.0}),
)
COLUMNS = ["training", "seeds", "accuracy", "gain", "macro F1", "calibration error"]


def line(setting: tuple[str, object]) -> str:
    """One of a TOML file."""
    name, value = setting
    if isinstance(value, dict):
        value = "{" + ", ".join(f"{key} = {one!r}" for key, one in value.items()) + "}"
        return f"{name} = {value}\n"
    return f"{name} = {value!r}\n"


def train(step: Step, seed: int, given: argparse.Namespace) -> Metrics:
    """The figures of a run's kept epoch on validation; it is trained if that isn't done."""
    folder = given.runs / f"{step.name.replace(' ', '-').replace(',', '')}-{seed}"
    model = folder / "model.safetensors"
    wanted = {**COMMON, **step.sets, "seed": seed}
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
            command += ["--ferplus", given.ferplus] if "soft_targets" in step.sets else []
        print(f"{step.name}, seed {seed}", flush=True)
        subprocess.run(command, check=True)
    (found,) = (one for one in read_spec(model).metrics if one.split == "val")
    return found


def holds(known: object, value: object) -> bool:
    if isinstance(known, dict) and isinstance(value, dict):
        return all(known[name] == one for name, one in value.items())
    return known == value


def row(step: Step, found: list[Metrics], base: list[Metrics]) -> list[str | int | float]:
    """`base` are the first step's: a gain is taken among the same seeds."""
    alike = mean(one.accuracy for one in base[: len(found)])
    accuracies = [one.accuracy for one in found]
    each = " and ".join(f"{100 * one:.2f}" for one in accuracies)
    return [
        step.name,
        len(found),
        f"{each} %",
        "" if step is STEPS[0] else f"{100 * (mean(accuracies) - alike):+.2f}",
        f"{mean(one.macro_f1 for one in found):.3f}",
        f"{mean(one.ece for one in found):.3f}",
    ]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("data", "ferplus", "weights"):
        options.add_argument(name)
    options.add_argument("runs", type=Path)
    options.add_argument("--only", default="", help="steps whose name holds it, and the first")
    options.add_argument("--keep", action="store_true")
    given = options.parse_args()
    if given.keep and given.only:
        options.error("what is kept has every step")
    given.runs.mkdir(parents=True, exist_ok=True)
    steps = [one for one in STEPS if one is STEPS[0] or given.only in one.name]
    # a seed after the other, so that what is there first compares all steps
    found: dict[str, list[Metrics]] = {step.name: [] for step in steps}
    for seed in sorted({seed for step in steps for seed in step.seeds}):
        for step in steps:
            if seed in step.seeds:
                found[step.name].append(train(step, seed, given))
    rows = [row(step, found[step.name], found[STEPS[0].name]) for step in steps]
    for cells in [COLUMNS, *rows]:
        print("| " + " | ".join(map(str, cells)) + " |")
    if given.keep:
        command = "python benchmarks/ablation.py fer2013.tar.gz fer2013new.csv WEIGHTS RUNS --keep"
        print(f"written: {kept.keep('ablation', COLUMNS, rows, command=command)}", file=sys.stderr)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
