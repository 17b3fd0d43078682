"""Options of the commands that recognize faces, as `Recognizer.load` takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from fer_edge.commands.options import (
    DETECTION,
    EXPORTED_MODEL,
    INPUT,
    MODEL,
    MODEL_NAMES,
    Backend,
    option,
)
from fer_edge.errors import ConfigError
from fer_edge.runtime.device.cpu import MAX_THREADS
from fer_edge.runtime.formats.model_files import resolve_model

CHECKPOINT = ".safetensors"
Faces = Literal["auto", "whole", "detect"]

FacesOption = Annotated[
    Faces,
    option(
        DETECTION,
        "--faces",
        help="detect: find the faces. whole: each image is one face. auto: find them, but take "
        "a small image (at most twice the model's input side) as one face.",
    ),
]
DetectSideOption = Annotated[
    str,
    option(
        DETECTION,
        "--detect-side",
        metavar="auto|PIXELS",
        help="Longer side, in pixels, to which a larger image is shrunk to find faces. auto: 640, "
        "then half of that, and so on, for faces that fill it, and up to 1920 for a photograph "
        "that may hold small faces.",
    ),
]
DetectScoreOption = Annotated[
    float | None,
    option(
        DETECTION,
        "--detect-score",
        min=0,
        max=1,
        help="Lowest score of a face; by default the detector's own. In the search for small "
        "faces of --detect-side auto, 0.5 means 0.675.",
    ),
]
MinFaceOption = Annotated[
    int,
    option(DETECTION, "--min-face", min=1, help="Minimum face size (the shorter side), in pixels."),
]
AlignOption = Annotated[
    bool, option(DETECTION, "--align/--no-align", help="Rotate tilted faces upright.")
]
ModelOption = Annotated[
    str | None,
    option(MODEL, "--model", metavar=f"{MODEL_NAMES}|FILE", help=EXPORTED_MODEL),
]
FastestBackendOption = Annotated[
    Backend,
    option(
        MODEL,
        "--backend",
        help="Inference engine. auto: the fastest one that passed fer doctor's self-test of "
        "the model, else the first installed one that reads the file.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    option(
        MODEL,
        "--threads",
        min=0,
        max=MAX_THREADS,
        help="Threads of the engine; 0 uses every core. By default the number that fer doctor "
        "stored for this model, else 1.",
    ),
]
MinConfidenceOption = Annotated[
    float,
    option(
        MODEL,
        "--min-confidence",
        min=0,
        max=1,
        help="Report an expression as uncertain where its probability is below this.",
    ),
]
MaxPixelsOption = Annotated[
    int | None,
    option(
        INPUT,
        "--max-pixels",
        min=1,
        help="Maximum of width x height; a larger image is refused before it is decoded. By "
        "default what keeps the process under 400 MB: 256 million in JPEG, 24 to 65 in "
        "progressive JPEG, 12.5 in WebP, 20 in AVIF, 2 in PPM as text, 40 in most formats.",
    ),
]


def parse_side(given: str) -> int | None:
    """The number of pixels that `--detect-side` names; None: auto.

    Raises:
        ConfigError: it is neither.
    """
    if given == "auto":
        return None
    if not given.isdecimal() or len(given) > 9:
        raise ConfigError(f"--detect-side {given}: auto, or a number of pixels")
    return int(given)


def find_model(model: str | None) -> Path:
    """The model file that `--model` names.

    Raises:
        ConfigError: it is a checkpoint.
        ModelError: there is none.
    """
    path = resolve_model(model)
    if path.suffix.lower() == CHECKPOINT or any(path.glob(f"*{CHECKPOINT}")):
        raise ConfigError(f"{path} is a checkpoint: export it first, with fer export {path}")
    return path
