"""`fer doctor`: what this machine has, what works, what is fastest."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fer_edge.commands.console import print_json, show
from fer_edge.commands.options import PATH, json_option


@click.command
@click.argument("model", type=PATH, required=False)
@click.option("--no-probe", is_flag=True, help="Measure no speed and remember nothing.")
@json_option
def doctor(model: Path | None, no_probe: bool, as_json: bool) -> None:
    """What this board has, which backend works and is fastest, and a self-test of the model.

    MODEL: an exported model; bundled by default.
    """
    from fer_edge.render.doctor import doctor_tables
    from fer_edge.runtime.diagnostics.doctor import diagnose

    def tell(line: str) -> None:
        print(f"trying {line}", file=sys.stderr, flush=True)

    found = diagnose(model, speed=not no_probe, tell=tell)
    print_json(found.to_dict()) if as_json else show(doctor_tables(found))
    if not found.works:
        sys.exit(1)
