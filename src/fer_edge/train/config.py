"""Settings of a training run: defaults and checks. Importing it needs no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from fer_edge.documents import read_json
from fer_edge.errors import ConfigError
from fer_edge.runtime.formats.model_files import BUNDLED, DEFAULT_MODEL
from fer_edge.schema import parse
from fer_edge.spec_limits import check_name, check_texts
from fer_edge.text import printable, shorten
from fer_edge.train.networks.architectures import find_architecture
from fer_edge.train.ranges import Augmentation, Corruption, check_bounds

INITIAL_WEIGHTS = (*BUNDLED, "imagenet", "none")
"""Values of `weights` that are not files."""
VALUES_BEFORE: dict[str, object] = {"corruption": {"fraction": 0.0}}
"""What a run did before a setting existed, where that isn't the default."""
_SPEC_TEXTS = ("name", "weights_data", "weights_licence", "unlabelled_data", "unlabelled_licence")
_MAX_SPEC_TEXT = 1000
"""Largest number of characters of one: the spec joins several."""
_TEACHER_WEIGHT = 0.5


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run, written to `config.json` in its folder.

    Each field's `metadata["help"]` describes it; `fer train --help` shows these texts and the
    defaults.

    Raises:
        ConfigError: a setting is out of range, unknown, or contradicts another.
    """

    data: str = field(metadata={"help": "FER2013 file, or a folder with one folder per class."})
    architecture: str = _setting("mobilenet_v2", "Architecture of the network.")
    weights: str = _setting(
        DEFAULT_MODEL,
        f"Initial weights: {', '.join(BUNDLED)} (the checkpoint in the package), imagenet "
        "(torchvision downloads them), none, or a file (.safetensors of fer-edge or, for "
        "mobilenet_v1, of the published convolutions; .pth with torchvision's names).",
    )
    weights_data: str = _setting(
        "", "What the weights of another origin were trained on, for the spec."
    )
    weights_licence: str = _setting("", "Terms of the data that weights_data names, for the spec.")
    side: int = _setting(48, "Width and height in pixels of the face images that the model takes.")
    network_side: int | None = _setting(
        None,
        "Width and height in pixels to which the model resizes a face before its first layer; by "
        "default that of the initial checkpoint or of the architecture.",
    )
    mean: float | None = _setting(
        None, "Mean of pixel / 255; by default that of the initial checkpoint, else ImageNet's."
    )
    std: float | None = _setting(
        None,
        "Standard deviation of pixel / 255; by default that of the initial checkpoint, else "
        "ImageNet's.",
    )
    epochs: int = _setting(30, "Number of epochs.")
    batch_size: int = _setting(64, "Faces per step, over all processes.")
    seed: int = _setting(0, "Seed of every random number.")
    # QuantizedLayer weights are in quantization levels and learn at 100 times this rate.
    lr: float = _setting(2e-3, "Maximum learning rate of AdamW, used for the head.")
    backbone_lr: float = _setting(
        0.5, "Learning rate of the backbone divided by that of the head, from 0 to 1."
    )
    # Loshchilov & Hutter, arXiv:1711.05101
    weight_decay: float = _setting(0.05, "AdamW's weight decay of convolutions and linear layers.")
    # Smith & Topin, arXiv:1708.07120: the rate rises for 30 % of the run, so it needs no warm-up
    schedule: Literal["cosine", "onecycle"] = _setting("onecycle", "Schedule of the learning rate.")
    warmup: float = _setting(
        0.05, "Fraction of a cosine schedule in which the learning rate rises."
    )
    freeze_epochs: int = _setting(1, "Number of first epochs in which only the head is trained.")
    # The first layers have the largest maps: without their gradients a step takes a third less.
    frozen: tuple[str, ...] = _setting(
        (), "Submodules that are never trained, by torchvision's names, such as features.0."
    )
    # progressive resizing: a smaller side is cheaper while the learning rate is high
    first_side: int | None = _setting(None, "The network's side in pixels in the first epochs.")
    first_fraction: float = _setting(0.4, "Fraction of the epochs that use first_side.")
    # Szegedy et al., arXiv:1512.00567
    label_smoothing: float = _setting(0.1, "Fraction of each target spread over all labels.")
    ferplus: str = _setting(
        "",
        "File of FER+ (fer2013new.csv), with the votes of ten annotators on each face of FER2013, "
        "for soft targets.",
    )
    soft_targets: float = _setting(
        0.0, "Fraction of each target that follows FER+'s votes instead of the label."
    )
    # Zhang et al., arXiv:1710.09412
    mixup: float = _setting(0.0, "Alpha of mixup's Beta distribution; 0 turns mixup off.")
    teachers: tuple[str, ...] = _setting(
        (), "Checkpoint to distil from; the logits of several are averaged."
    )
    mirror_teachers: bool = _setting(False, "Average teachers over a face and its mirror image.")
    # Beyer et al., arXiv:2106.05237: teacher and student see the same augmented face
    teacher_weight: float = _setting(
        _TEACHER_WEIGHT, "Fraction of each target that follows the teachers instead of the label."
    )
    views: int = _setting(
        0,
        "Number of augmented views of each face on which the teachers predict once, at the "
        "start of the first epoch that needs it; epochs take them in turn. 0: the teachers "
        "predict in every step.",
    )
    views_folder: str = _setting(
        "",
        "Folder of the teachers' logits on these views, which other runs can share; by default "
        "in the run's folder.",
    )
    teacher_logits: str = _setting(
        "",
        "File of teachers' logits, as `fer data logits` writes it, in place of the teachers; its "
        "views have the same augmentation.",
    )
    unlabelled: str = _setting(
        "",
        "Folder of face images without labels, which join the train split; their targets are the "
        "teachers' probabilities alone.",
    )
    unlabelled_data: str = _setting(
        "", "What the unlabelled faces are, for the spec; by default the name of their folder."
    )
    unlabelled_licence: str = _setting("", "Terms of the unlabelled faces, for the spec.")
    mild_fraction: float = _setting(
        0.0,
        "Fraction of the epochs, the last ones, with half of the augmentation's ranges and half as "
        "many corrupted faces.",
    )
    class_balance: float = _setting(
        0.0, "Exponent of the class weights: 0 weighs faces equally, 1 weighs classes equally."
    )
    ema: float = _setting(
        0.998,
        "Decay per step of the moving average of the weights (EMA), which is validated and saved; "
        "0 turns EMA off.",
    )
    patience: int = _setting(
        0, "Epochs without a better validation accuracy after which to stop; 0 never stops early."
    )
    name: str = _setting(
        "", "Name of the model in its spec and in the names of exported files; by default fer-ARCH."
    )
    version: str = _setting("", "Version of the model, for its spec.")
    storage: Literal["fp16", "fp32"] = _setting(
        "fp16",
        "Precision in which the checkpoint stores its weights; the reported accuracy is theirs.",
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = _setting(
        "32-true", "Arithmetic during training alone, as Lightning names it."
    )
    skip_bad: bool = _setting(False, "Leave out invalid rows and unreadable images.")
    qat_from: str = _setting(
        "", "Checkpoint for quantization-aware training; its float network is the teacher."
    )
    augmentation: Augmentation = field(
        default_factory=Augmentation, metadata={"help": "Ranges of the augmentation."}
    )
    corruption: Corruption = field(
        default_factory=Corruption, metadata={"help": "Ranges of the corruption by a camera."}
    )

    def __post_init__(self) -> None:
        try:
            for name, value in vars(self).items():
                parts = value if isinstance(value, tuple) else (value,)
                for text in (part for part in parts if isinstance(part, str)):
                    check_texts(**{name: text})
            check_name(self.name or "fer")
        except ValueError as error:
            raise ConfigError(str(error)) from None
        find_architecture(self.architecture)
        check_bounds(self)
        for name in _SPEC_TEXTS:
            text = getattr(self, name)
            if text != printable(text) or len(text) > _MAX_SPEC_TEXT:
                raise ConfigError(
                    f"{name} must be at most {_MAX_SPEC_TEXT:,} characters without control "
                    f"characters, not {printable(shorten(text, 60))}"
                )
        has_teachers = bool(self.teachers or self.teacher_logits or self.qat_from)
        for is_valid, message in (
            (self.data and self.weights, "data and weights must not be empty"),
            (
                bool(self.weights_data) == bool(self.weights_licence),
                "weights_data and weights_licence belong together",
            ),
            (
                not self.weights_data or not (self.qat_from or self.weights in (*BUNDLED, "none")),
                "weights_data is for weights of another origin: not for those of the package, "
                "none or --qat",
            ),
            (self.std is None or 0 < self.std <= 2, f"std must be in (0, 2], not {self.std}"),
            (self.lr > 0, f"lr must be above 0, not {self.lr}"),
            (self.ema < 1, f"ema must be below 1, not {self.ema}"),
            # each seed has a range of its own for the seeds of steps and processes
            (self.seed < 10**8, f"seed must be below 100,000,000, not {self.seed}"),
            (
                self.ferplus or not self.soft_targets,
                "soft_targets needs FER+'s file of votes: --ferplus FILE",
            ),
            (
                self.soft_targets or not self.ferplus,
                "ferplus needs soft_targets above 0: --soft-targets",
            ),
            (
                self.teachers or self.qat_from or not self.mirror_teachers,
                "mirror_teachers needs teachers: --teacher, or --qat --from RUN",
            ),
            (self.teachers or not self.views, "views needs teachers: --teacher"),
            (not (self.views and self.qat_from), "views is for float networks, not for --qat"),
            (self.views or not self.views_folder, "views_folder needs views above 0"),
            (
                not (self.teacher_logits and (self.teachers or self.qat_from)),
                "teacher_logits replaces teachers, and isn't for --qat",
            ),
            (
                has_teachers or self.teacher_weight == _TEACHER_WEIGHT,
                "teacher_weight needs teachers: --teacher, --teacher-logits, or --qat --from RUN",
            ),
            (
                has_teachers or not self.unlabelled,
                "unlabelled needs teachers: --teacher, --teacher-logits, or --qat --from RUN",
            ),
            (
                self.unlabelled or not (self.unlabelled_data or self.unlabelled_licence),
                "unlabelled_data and unlabelled_licence need unlabelled: --unlabelled FOLDER",
            ),
        ):
            if not is_valid:
                raise ConfigError(message)

    def to_json(self) -> str:
        """Write the settings as JSON, one per line."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Read a run's `config.json`.

        Raises:
            ConfigError: the file isn't such a document.
        """
        try:
            document = read_json(path)
            if isinstance(document, dict):
                document = {**VALUES_BEFORE, **document}
            return parse(cls, document, path.name, unknown="reject")
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from None
