"""Ranges of the random changes to a face in training, and the limits of all settings.

Importing it needs no torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import inf

from fer_edge.errors import ConfigError


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes to each face in training; 0 turns one off.

    Attributes:
        rotation: maximum rotation in degrees, either way.
        scale: maximum relative change of size: 0.1 for 0.9 to 1.1.
        shift: maximum shift in x and in y, as a fraction of the side.
        flip: probability of a left-right mirror image.
        brightness: maximum change of brightness, as a fraction of 255.
        contrast: maximum relative change of contrast about the face's mean.
        erase: probability that a rectangle is filled with the face's mean.
        erase_area: maximum area of that rectangle, as a fraction of the face.
    """

    rotation: float = 12.0
    scale: float = 0.1
    shift: float = 0.06
    flip: float = 0.5
    brightness: float = 0.15
    contrast: float = 0.25
    erase: float = 0.25
    erase_area: float = 0.15

    def __post_init__(self) -> None:
        check_bounds(self)

    def halve(self) -> Augmentation:
        """Halve all ranges but the probability of a mirror image."""
        halved = {name: value / 2 for name, value in asdict(self).items()}
        return Augmentation(**{**halved, "flip": self.flip})


@dataclass(frozen=True)
class Corruption:
    """Ranges of what a camera does to some faces in training, after their augmentation.

    Each kind is drawn for each of these faces separately. Teachers see the face before it.

    Attributes:
        fraction: probability that a face is corrupted; 0 turns corruption off.
        gamma: maximum exponent of the brightness, or its inverse; 1 changes nothing.
        min_brightness: minimum factor of the brightness.
        shade: maximum loss of brightness from one side to the other, as a fraction.
        blur: maximum standard deviation of a Gaussian blur, in pixels.
        motion: maximum length of a motion blur, in pixels.
        min_side: minimum side to which a face is scaled and back, as a fraction of its side.
        noise: maximum standard deviation of the sensor's noise, of pixels in [0, 255].
        quality: minimum quality of JPEG compression, as libjpeg counts it.
    """

    fraction: float = 0.3
    gamma: float = 2.0
    min_brightness: float = 0.2
    shade: float = 0.8
    blur: float = 2.2
    motion: float = 7.0
    min_side: float = 0.3
    noise: float = 25.0
    quality: float = 8.0

    def __post_init__(self) -> None:
        check_bounds(self)

    def halve(self) -> Corruption:
        """Halve the fraction of corrupted faces."""
        return replace(self, fraction=self.fraction / 2)


_BOUNDS = {
    "epochs": (1, inf),
    "batch_size": (2, inf),
    "rotation": (0, 180),
    **dict.fromkeys(
        ("seed", "freeze_epochs", "weight_decay", "mixup", "ema", "patience", "views"), (0, inf)
    ),
    **dict.fromkeys(("side", "network_side", "first_side"), (16, 512)),
    **dict.fromkeys(("mean", "backbone_lr", "warmup", "first_fraction", "label_smoothing"), (0, 1)),
    **dict.fromkeys(("soft_targets", "class_balance", "scale", "shift", "flip"), (0, 1)),
    **dict.fromkeys(("brightness", "contrast", "erase", "erase_area"), (0, 1)),
    **dict.fromkeys(("teacher_weight", "mild_fraction", "fraction", "shade"), (0, 1)),
    **dict.fromkeys(("min_brightness", "min_side"), (0.05, 1)),
    "rotated": (0, 1),
    "eye_weight": (0, 100),
    "gamma": (1, 10),
    "blur": (0, 10),
    "motion": (0, 20),
    "noise": (0, 255),
    "quality": (1, 90),
}
"""Smallest and largest value of settings; None is allowed where a setting may be None."""


def check_bounds(settings: object) -> None:
    """Check those of a dataclass's fields that have limits.

    Raises:
        ConfigError: one is outside.
    """
    for name, (low, high) in _BOUNDS.items():
        value = getattr(settings, name, None)
        if value is not None and not low <= value <= high:
            allowed = f"in [{low}, {high}]" if high < inf else f"at least {low}"
            raise ConfigError(f"{name} must be {allowed}, not {value}")
