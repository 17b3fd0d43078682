"""Recipes in TOML, and the settings of runs in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from random import Random

from benchmarks.fuzz.documents import damage_json, damage_toml
from fer_edge.train.config import TrainConfig, list_recipes, read_recipe
from fer_edge.train.run_folder import CONFIG_FILE, resolve_config


class Target:
    """A damaged document, read and checked as by `fer train`."""

    def __init__(self, _: Path) -> None:
        plain = TrainConfig(data="faces", weights="none")
        self._settings = json.loads(json.dumps(asdict(plain)))
        self._recipes = [read_recipe(name) for name in list_recipes()]

    def write(self, random: Random, folder: Path) -> tuple[Path, bool]:
        """Damage a recipe, or the settings of a run."""
        is_recipe = random.random() < 0.5
        if is_recipe:
            recipe = {
                **random.choice(self._recipes),
                **dict(random.sample(list(self._settings.items()), 4)),
            }
            recipe = {name: value for name, value in recipe.items() if value is not None}
            path = folder / "own.toml"
            path.write_bytes(damage_toml(random, recipe))
        else:
            path = folder / CONFIG_FILE
            path.write_bytes(damage_json(random, self._settings))
        return path, is_recipe

    def run(self, case: tuple[Path, bool]) -> None:
        """Read it, and make the settings of a run with it."""
        path, is_recipe = case
        if is_recipe:
            recipe = read_recipe(str(path))
            resolve_config({"data": "faces"}, path.parent / "run", resume=False, recipe=recipe)
        else:
            resolve_config({}, path.parent, resume=True)
