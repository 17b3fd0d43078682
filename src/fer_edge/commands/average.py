"""`fer average`: average the weights of several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fer_edge.atomic import check_writable
from fer_edge.commands.console import note, show_checkpoint
from fer_edge.commands.data_options import DATA, SkipBad
from fer_edge.commands.options import INPUT, OUTPUT, Json, argument, command, option, single
from fer_edge.errors import ConfigError, requires_extra
from fer_edge.runtime.formats.model_files import BUNDLED

app = single()


@command(app, "fer average runs/seed0 runs/seed1 --data fer2013.tar.gz --output runs/mean")
def average(
    runs: Annotated[
        list[str],
        argument(
            "Two or more runs that started from the same weights: their folders or checkpoints, "
            f"or models in the package ({', '.join(BUNDLED)}).",
            metavar="RUN...",
        ),
    ],
    data: Annotated[
        Path, option(INPUT, "--data", help=f"{DATA} The average is measured on its val split.")
    ],
    skip_bad: SkipBad = False,
    output: Annotated[
        Path, option(OUTPUT, "--output", "-o", help="Folder for the averaged model.safetensors.")
    ] = Path("average"),
    as_json: Json = False,
) -> None:
    """Average the weights of several training runs into one model of the same size."""
    with requires_extra("train"):
        from fer_edge.runtime.formats.spec_reader import read_spec
        from fer_edge.train.average import average
        from fer_edge.train.data.loading import read_data
        from fer_edge.train.networks import checkpoint
        from fer_edge.train.run_folder import MODEL_FILE, find_checkpoint

    path = output / MODEL_FILE
    if path.exists():
        raise ConfigError(f"{path} exists: choose another --output")
    check_writable(output)
    paths = [find_checkpoint(run) for run in runs]
    side = read_spec(paths[0]).input.side
    checkpoint.save(average(paths, read_data(data, side=side, skip_bad=skip_bad)), path)
    for one in (*paths, path):
        for metrics in read_spec(one).metrics:
            note(f"{one}: accuracy {metrics.accuracy:.2%} on {metrics.split}")
    show_checkpoint(path, data, as_json=as_json)
