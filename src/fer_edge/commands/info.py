"""`fer info`: the spec inside a model."""

from __future__ import annotations

from typing import Annotated

from fer_edge.commands.console import print_json, show
from fer_edge.commands.options import MODEL_NAMES, PACKAGED, Json, argument, command, single
from fer_edge.runtime.formats.model_files import DEFAULT_MODEL

app = single()


@command(app, "fer info", "fer info run/model.safetensors --json")
def info(
    model: Annotated[
        str | None,
        argument(
            f"A model in the package ({PACKAGED}), a checkpoint, a run's folder or an exported "
            f"file. By default {DEFAULT_MODEL}.",
            metavar=f"[{MODEL_NAMES}|FILE]",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the spec in a model file: labels, input, training data, accuracy and parity."""
    from fer_edge.render.spec import spec_table
    from fer_edge.runtime.formats.spec_reader import read_spec
    from fer_edge.train.run_folder import find_checkpoint

    path = find_checkpoint(model, "model")
    spec = read_spec(path)
    print_json(spec.to_dict()) if as_json else show([spec_table(spec, str(path))])
