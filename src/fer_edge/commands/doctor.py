"""`fer doctor`: what this machine has, what works, what is fastest."""

from __future__ import annotations

from typing import Annotated

import typer

from fer_edge.commands.console import note, print_json, show
from fer_edge.commands.options import (
    EXPORTED_MODEL,
    MEASUREMENT,
    MODEL_NAMES,
    Json,
    argument,
    command,
    option,
    single,
)

app = single()


@command(app, "fer doctor", "fer doctor run/fer-mobilenet_v2-fp32.onnx --no-probe")
def doctor(
    model: Annotated[str | None, argument(EXPORTED_MODEL, metavar=f"[{MODEL_NAMES}|FILE]")] = None,
    no_probe: Annotated[
        bool,
        option(
            MEASUREMENT,
            "--no-probe",
            help="Run the self-test alone: measure no latency, store no engine.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check this machine: which engines work and which is fastest, with a self-test of the model.

    The fastest engine that passes the self-test is stored with its number of threads, and fer infer
    uses them for this model from then on.
    """
    from fer_edge.render.doctor import doctor_tables
    from fer_edge.runtime.diagnostics.doctor import diagnose

    def report(line: str) -> None:
        note(f"testing {line}")

    found = diagnose(model, speed=not no_probe, report=report)
    print_json(found.to_dict()) if as_json else show(doctor_tables(found))
    if not found.works:
        raise typer.Exit(1)
