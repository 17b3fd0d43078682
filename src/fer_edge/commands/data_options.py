"""Options of the commands that read a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fer_edge.commands.options import INPUT, option
from fer_edge.train.data.dataset import Split

DATA = (
    "Data set: a FER2013 file (.csv, .csv.gz, .tar.gz or .zip), or a folder with one folder per "
    "class, which may lie in train, val and test; a missing split is taken from train."
)
TEST_DATA = (
    "Data set: a FER2013 file (.csv, .csv.gz, .tar.gz or .zip), or a folder with one folder per "
    "class, all of which is the test split, unless the classes lie in train, val and test."
)
DataOption = Annotated[Path | None, option(INPUT, "--data", help=DATA)]
TestDataOption = Annotated[Path | None, option(INPUT, "--data", help=TEST_DATA)]
SkipBad = Annotated[
    bool,
    option(
        INPUT,
        "--skip-bad",
        help="Leave out invalid rows and unreadable images instead of stopping.",
    ),
]
SplitOption = Annotated[
    Split, option(INPUT, "--split", help="Split of the data set to measure on.")
]
Ferplus = Annotated[
    Path | None,
    option(
        INPUT,
        "--ferplus",
        help="File of FER+ (fer2013new.csv), with the votes of ten annotators on each face of "
        "FER2013, which are reported as well.",
    ),
]
