"""`fer parity`: compare an exported file with its checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from fer_edge.commands.console import note, print_json
from fer_edge.commands.data_options import DataOption, SkipBad, SplitOption
from fer_edge.commands.gate_options import (
    GateFile,
    MaxAccuracyLoss,
    MaxLogitDiff,
    MaxRecallLoss,
    MinAgreement,
    make_gate,
)
from fer_edge.commands.options import BackendOption, DeviceOption, Json, argument, command, single
from fer_edge.errors import ConfigError, requires_extra
from fer_edge.runtime.formats.model_files import BUNDLED, resolve_model

app = single()


@command(
    app,
    "fer parity run/model.safetensors run/fer-mobilenet_v2-fp32.onnx",
    "fer parity run/model.safetensors model.xml --data fer2013.tar.gz --backend openvino",
)
def parity(
    checkpoint: Annotated[
        str,
        argument(
            "The checkpoint (.safetensors), its run's folder, or a model in the package "
            f"({', '.join(BUNDLED)}).",
            metavar="CHECKPOINT",
        ),
    ],
    model: Annotated[
        str,
        argument("An exported model, or the name of one in the package.", metavar="MODEL"),
    ],
    data: DataOption = None,
    split: SplitOption = "test",
    skip_bad: SkipBad = False,
    backend: BackendOption = "auto",
    device: DeviceOption = "cpu",
    gate: GateFile = None,
    min_agreement: MinAgreement = None,
    max_accuracy_loss: MaxAccuracyLoss = None,
    max_recall_loss: MaxRecallLoss = None,
    max_logit_diff: MaxLogitDiff = None,
    as_json: Json = False,
) -> None:
    """Compare the predictions of an exported file with those of its checkpoint, face by face.

    Without --data, only the golden samples are compared: 16 faces that every model file holds. The
    exit code is 1 if a threshold is missed.
    """
    thresholds = make_gate(gate, min_agreement, max_accuracy_loss, max_recall_loss, max_logit_diff)
    with requires_extra("export"):
        from fer_edge.export.judge import compare_all, reference_models, threshold_kind
        from fer_edge.render.reports import parity_text
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.evaluation.evaluate import CHECKPOINT, open_model
        from fer_edge.train.networks import checkpoint as checkpoints
        from fer_edge.train.run_folder import find_checkpoint

        source, path = find_checkpoint(checkpoint), resolve_model(model)
        if source.suffix.lower() != CHECKPOINT:
            raise ConfigError(f"{source}: the first file is the checkpoint, a {CHECKPOINT}")
        if path.suffix.lower() == CHECKPOINT:
            raise ConfigError(f"{path}: the second file is the exported one, no {CHECKPOINT}")
        exported = open_model(path, backend=backend, device=device, verify=False)
        reference, float_model = reference_models(
            checkpoints.load(source), str(source), exported.spec
        )
    side = reference.spec.input.side
    faces = None if data is None else read_data(data, side=side, skip_bad=skip_bad)
    parities = compare_all(
        reference,
        exported,
        faces,
        split,
        thresholds=thresholds.thresholds(threshold_kind(exported, float_model)),
        float_model=float_model,
    )
    for one in parities:
        print_json(one.to_dict()) if as_json else print(parity_text(one))
    if all(one.passed for one in parities):
        return
    expected, found = exported.spec.source_sha256, checkpoints.sha256(source)
    if expected not in (None, found):
        note(
            f"{path} was exported from another checkpoint: its sha256 is {expected[:16]}..., "
            f"that of {source} is {found[:16]}..."
        )
    raise typer.Exit(1)
