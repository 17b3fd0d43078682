"""Settings of a detector's training run. Importing it needs no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fer_edge.detector_spec import MULTIPLE
from fer_edge.documents import read_json
from fer_edge.errors import ConfigError
from fer_edge.schema import parse
from fer_edge.spec_limits import check_name, check_texts
from fer_edge.train.ranges import Corruption, check_bounds

VALIDATION_SIDE = 320
"""Longer side of the photographs of validation, in pixels."""


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class DetectorConfig:
    """Settings of one run, written to `config.json` in its folder.

    Each field's `metadata["help"]` describes it; `fer detector train --help` shows these texts.

    Raises:
        ConfigError: a setting is out of range, or contradicts another.
    """

    photographs: str = field(
        metadata={"help": "Folder with train/KIND/ and val/KIND/, which hold the photographs."}
    )
    labels: str = field(metadata={"help": "Labels that fer detector label wrote."})
    weights: str = _setting(
        "", "Run or checkpoint of a detector whose weights the training starts from."
    )
    qat_from: str = _setting("", "Checkpoint of a trained detector, to be quantized (QAT).")
    epochs: int = _setting(30, "Number of epochs.")
    pieces: int = _setting(9600, "Pieces of photographs in an epoch.")
    piece_side: int = _setting(320, "Width and height of a piece in pixels, a multiple of 32.")
    batch_size: int = _setting(16, "Pieces per step.")
    workers: int = _setting(0, "Processes that cut pieces out; 0: the training's own.")
    seed: int = _setting(0, "Seed of every random number.")
    lr: float = _setting(3e-3, "Maximum learning rate of AdamW.")
    weight_decay: float = _setting(0.02, "AdamW's weight decay of convolutions.")
    warmup: float = _setting(0.05, "Fraction of the run in which the learning rate rises.")
    ema: float = _setting(0.9995, "Decay of the averaged weights per step; 0 turns averaging off.")
    background: float = _setting(
        0.3, "Fraction of the parts of pieces that show photographs without people."
    )
    rotated: float = _setting(
        0.2, "Fraction of the parts of pieces that are rotated, by 45 degrees at most."
    )
    eye_weight: float = _setting(
        3.0, "Weight of the loss of the eyes. With 1, tilted eyes are found level."
    )
    min_face: int = _setting(10, "Smallest face to find (its shorter side), in pixels.")
    max_face: int = _setting(288, "Largest face that a piece is scaled to, in pixels.")
    # milder than for the classifier: a face of ten pixels has nothing to lose
    corruption: Corruption = field(
        default_factory=lambda: Corruption(
            fraction=0.2, blur=1.5, motion=4.0, min_side=0.6, noise=20.0, quality=15.0
        ),
        metadata={"help": "Ranges of what a camera does to some pieces."},
    )
    name: str = _setting("faces", "Name of the detector, for its spec.")
    version: str = _setting("", "Version of the detector, for its spec.")

    data_name: str = _setting("", "What the photographs are, for the spec.")
    data_licence: str = _setting("", "Terms of the photographs, for the spec.")

    def __post_init__(self) -> None:
        check_bounds(self)
        try:
            check_name(self.name)
            check_texts(
                name=self.name,
                version=self.version,
                data_name=self.data_name,
                data_licence=self.data_licence,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None
        for is_valid, message in (
            (self.photographs and self.labels, "photographs and labels must not be empty"),
            (
                not (self.weights and self.qat_from),
                "--weights and --from are both given: an int8 model takes --from alone",
            ),
            (self.pieces >= self.batch_size, "pieces must be batch_size or more"),
            (
                self.piece_side % MULTIPLE == 0 and 64 <= self.piece_side <= 1024,
                f"piece_side must be a multiple of {MULTIPLE} from 64 to 1024, "
                f"not {self.piece_side}",
            ),
            (0 <= self.workers <= 64, f"workers must be from 0 to 64, not {self.workers}"),
            (self.lr > 0, f"lr must be above 0, not {self.lr}"),
            (self.ema < 1, f"ema must be below 1, not {self.ema}"),
            (self.seed < 10**8, f"seed must be below 100,000,000, not {self.seed}"),
            (
                0 <= self.background <= 1,
                f"background must be in [0, 1], not {self.background}",
            ),
            (
                1 <= self.min_face < self.max_face <= self.piece_side,
                f"min_face {self.min_face} and max_face {self.max_face} are no range of faces in "
                f"pieces of {self.piece_side} pixels",
            ),
        ):
            if not is_valid:
                raise ConfigError(message)

    def to_json(self) -> str:
        """Write the settings as JSON, one per line."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> DetectorConfig:
        """Read a run's `config.json`.

        Raises:
            ConfigError: the file isn't such a document.
        """
        try:
            return parse(cls, read_json(path), path.name, unknown="reject")
        except (ValueError, OSError) as error:
            raise ConfigError(f"{path}: {error}") from None
