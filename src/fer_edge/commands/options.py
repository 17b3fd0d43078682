"""Options that several commands share, and the type of a path."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import click

Backend = Literal["auto", "onnxruntime", "openvino", "ncnn"]
Device = Literal["auto", "cpu", "gpu", "npu"]
Split = Literal["train", "val", "test"]

PATH = click.Path(path_type=Path, readable=False)
"""Nothing is looked up here: who opens a file says what is wrong with it."""
DATA = "FER2013 file (.csv, .csv.gz, .tar.gz, .zip) or a folder of class folders."

json_option = click.option("--json", "as_json", is_flag=True, help="JSON, one document a line.")
backend_option = click.option(
    "--backend", type=click.Choice(get_args(Backend)), default="auto", help="Engine."
)
device_option = click.option(
    "--device", type=click.Choice(get_args(Device)), default="cpu", help="auto: the CPU."
)
data_option = click.option("--data", type=PATH, help=DATA)
skip_bad_option = click.option(
    "--skip-bad", is_flag=True, help="Leave wrong rows and pictures out."
)
split_option = click.option(
    "--split", type=click.Choice(get_args(Split)), default="test", help="Which faces."
)
