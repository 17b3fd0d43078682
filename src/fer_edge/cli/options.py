"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DATA = "FER2013 file (.csv, .csv.gz, .tar.gz, .zip) or a folder of class folders."
Json = Annotated[bool, typer.Option("--json", help="One JSON document a line.")]
Threads = Annotated[int, typer.Option(min=0, help="That the engine computes with; 0: every core.")]
Backend = Annotated[Literal["auto", "onnxruntime", "openvino"], typer.Option(help="Engine.")]
Data = Annotated[Path, typer.Option("--data", help=DATA)]
OptionalData = Annotated[Path | None, typer.Option("--data", help=DATA)]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave wrong rows and pictures out.")]
SplitName = Annotated[Literal["train", "val", "test"], typer.Option(help="Which faces.")]
