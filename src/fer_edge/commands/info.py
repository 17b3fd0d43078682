"""`fer info`: the spec inside a model."""

from __future__ import annotations

from typing import Annotated

from fer_edge.commands.console import print_json, show
from fer_edge.commands.options import MODEL_NAMES, PACKAGED, Json, argument, command, single
from fer_edge.runtime.formats.model_files import DEFAULT_MODEL, DETECTOR

app = single()


@command(app, "fer info", f"fer info {DETECTOR}", "fer info run/model.safetensors --json")
def info(
    model: Annotated[
        str | None,
        argument(
            f"A model in the package ({PACKAGED}; {DETECTOR}: the face detector), a checkpoint, a "
            f"run's folder or an exported file. By default {DEFAULT_MODEL}.",
            metavar=f"[{MODEL_NAMES}|{DETECTOR}|FILE]",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the spec in a model file: labels, input, training data, accuracy and parity.

    Of a face detector: input, thresholds, training data, recall, false faces and parity.
    """
    from fer_edge.render.detector_spec import detector_spec_table
    from fer_edge.render.spec import spec_table
    from fer_edge.runtime.formats.spec_reader import read_any_spec
    from fer_edge.spec import ModelSpec
    from fer_edge.train.run_folder import find_checkpoint

    path = find_checkpoint(model, "model")
    spec = read_any_spec(path)
    if as_json:
        print_json(spec.to_dict())
    elif isinstance(spec, ModelSpec):
        show([spec_table(spec, str(path))])
    else:
        show([detector_spec_table(spec, str(path))])
