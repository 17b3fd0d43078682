"""What a training run is: every setting, checked where it is made."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal

from fer_edge.errors import ConfigError
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.schema import parse
from fer_edge.train.recipe import read_recipe


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far each draw may go; 0 turns a kind off.

    Attributes:
        rotation: degrees either way.
        scale: relative size either way, 0.1 for 0.9 to 1.1.
        shift: share of the side either way, in x and in y.
        flip: probability of a left-right mirror.
        brightness: share of 255 added or taken.
        contrast: relative change about the face's own mean either way.
        erase: probability that a rectangle is filled with the face's mean.
        erase_area: the largest rectangle's share of the face.
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
        for name in ("scale", "shift", "flip", "brightness", "contrast", "erase", "erase_area"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], not {getattr(self, name)}")
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"rotation must be in [0, 180] degrees, not {self.rotation}")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Settings of one run, kept as `config.json` in its folder.

    Attributes:
        data: FER2013 file or folder of classes.
        architecture: a name of `ARCHITECTURES`.
        weights: "bundled" (the checkpoint inside the package), "imagenet" (torchvision downloads),
            "none", or a file: `.safetensors` of fer-edge or `.pth` under torchvision's names.
        side: of the faces, the graph's input, in pixels.
        network_side: what the graph resizes them to; None: the architecture's own.
        mean, std: of pixel / 255; None: the starting checkpoint's, else ImageNet's in gray.
        epochs, batch_size, seed: as the words say.
        lr: AdamW's highest rate, of the head; `backbone_lr` times it for the backbone.
            Int8 layers learn in units of their weights' codes, at 100 times the rate.
        weight_decay: decoupled, on weights of convolutions and linear layers only
            (Loshchilov & Hutter, arXiv:1711.05101).
        schedule: after the warm-up, "cosine" falls to 0; "onecycle" rises for 30 % of the run
            first (Smith & Topin, arXiv:1708.07120) and needs no warm-up.
        warmup: share of the run over which the cosine's rate rises.
        freeze_epochs: at the start, the backbone's rate is 0 for so long.
        frozen: parts of the network that stay as they are, by torchvision's names ("features.0"):
            a step needs no gradients of theirs, which for the first, with their large maps, is a
            third of its time.
        first_side: the network's side in the first `first_share` of the epochs, a smaller one being
            cheaper to learn the rough from (progressive resizing); None: its own throughout.
        first_share: see `first_side`.
        label_smoothing: share of the target spread over all labels (arXiv:1512.00567).
        ferplus: FER+'s file of votes, with `soft_targets`; empty: none.
        soft_targets: share of the target that follows the ten annotators' votes instead of the
            label, see `targets.Reading`.
        mixup: alpha of the Beta distribution that two faces and their targets are mixed by
            (Zhang et al., arXiv:1710.09412); 0 is off.
        teachers: checkpoints whose mean logits the network is drawn to, see `loop.Trainee`.
        mirror_teachers: they answer the mean of a face and of its mirror image.
        class_balance: 0 counts faces alike, 1 classes alike: weights are (1/share)^balance.
        ema: decay a step of the averaged weights that are validated and kept; 0 is off.
        patience: stop after so many epochs without a better validation accuracy; 0 never.
        storage: of the final checkpoint: "fp16" rounds weight matrices once to half precision, and
            every figure is taken after; "fp32" keeps them.
        precision: Lightning's, of the arithmetic while training.
        skip_bad: leave wrong rows and pictures out.
        qat_from: a checkpoint to make an int8 twin of: quantization-aware training with the float
            network as its teacher. Empty: the float network itself is trained.
        augmentation: see `Augmentation`.
    """

    data: str
    architecture: str = "mobilenet_v2"
    weights: str = "bundled"
    side: int = 48
    network_side: int | None = None
    mean: float | None = None
    std: float | None = None
    epochs: int = 30
    batch_size: int = 64
    seed: int = 0
    lr: float = 2e-3
    backbone_lr: float = 0.5
    weight_decay: float = 0.05
    schedule: Literal["cosine", "onecycle"] = "onecycle"
    warmup: float = 0.05
    freeze_epochs: int = 1
    frozen: tuple[str, ...] = ()
    first_side: int | None = None
    first_share: float = 0.4
    label_smoothing: float = 0.1
    ferplus: str = ""
    soft_targets: float = 0.0
    mixup: float = 0.0
    teachers: tuple[str, ...] = ()
    mirror_teachers: bool = False
    class_balance: float = 0.0
    ema: float = 0.998
    patience: int = 0
    storage: Literal["fp16", "fp32"] = "fp16"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    skip_bad: bool = False
    qat_from: str = ""
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        at_least = {"epochs": 1, "batch_size": 2, "freeze_epochs": 0, "patience": 0, "seed": 0}
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        shares = ("warmup", "label_smoothing", "class_balance", "backbone_lr")
        for name in (*shares, "first_share", "soft_targets"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], not {getattr(self, name)}")
        for name in ("side", "network_side", "first_side"):
            value = getattr(self, name)
            if value is not None and not 16 <= value <= 512:
                raise ValueError(f"{name} must be in [16, 512], not {value}")
        if self.mean is not None and not 0 <= self.mean <= 1:
            raise ValueError(f"mean must be in [0, 1], not {self.mean}")
        if self.std is not None and not 0 < self.std <= 2:
            raise ValueError(f"std must be in (0, 2], not {self.std}")
        if not self.data or not self.weights:
            raise ValueError("data and weights must not be empty")
        if self.soft_targets and not self.ferplus:
            raise ValueError("soft_targets needs FER+'s file of votes: --ferplus FILE")
        if self.ferplus and not self.soft_targets:
            raise ValueError("ferplus is used by soft_targets alone, and that is 0")
        if self.mirror_teachers and not (self.teachers or self.qat_from):
            raise ValueError("mirror_teachers needs teachers: --teacher, or --qat --from RUN")
        if self.seed >= 10**8:  # each has the draws of so many steps and processes to itself
            raise ValueError(f"seed must be below 100,000,000, not {self.seed}")
        if self.mixup < 0:
            raise ValueError(f"mixup must be at least 0, not {self.mixup}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be in [0, 1), not {self.ema}")
        if not (self.lr > 0 and self.weight_decay >= 0):
            raise ValueError(f"lr {self.lr} or weight_decay {self.weight_decay} is out of range")

    def to_json(self) -> str:
        """The settings, one a line."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Read a run's `config.json`.

        Raises:
            ConfigError: the file isn't such a document.
        """
        try:
            return parse(cls, json.loads(path.read_text("utf-8")), path.name, unknown="reject")
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from None


def _inherited(given: dict[str, object]) -> dict[str, object]:
    """What a twin has from the network that it is made of."""
    source = str(given["qat_from"])
    spec = read_spec(Path(source))
    own: dict[str, object] = {"architecture": spec.architecture, "side": spec.input.side}
    for name, value in own.items():
        if given.get(name, value) != value:
            raise ConfigError(f"{source}: its {name} is {value}, not {given[name]}")
    for name in ("weights", "network_side", "mean", "std"):
        if name in given:
            raise ConfigError(f"{name} can't be chosen for a twin: it is that of {source}")
    return own


def settings(
    given: dict[str, object], output: Path, *, resume: bool, recipe: dict[str, object] | None = None
) -> TrainConfig:
    """The settings of a new run, or those of the run in `output` when it is resumed.

    Args:
        given: what was asked for, the last word on each setting.
        output: the run's folder.
        resume: whether the run is there already.
        recipe: other settings than the defaults, as `recipe.read_recipe` gives them.

    Raises:
        ConfigError: a setting is wrong, there is nothing to resume, or a setting contradicts the
            run's own.
    """
    path = output / "config.json"
    if not resume:
        given = {**(recipe or {}), **given}
        if given.get("qat_from"):
            given = {**read_recipe("qat"), **given, **_inherited(given)}
        try:
            return parse(TrainConfig, given, "settings", unknown="reject")
        except ValueError as error:
            raise ConfigError(str(error)) from None
    if not path.exists():
        raise ConfigError(f"{output}: no run to resume: there is no {path.name} in it")
    if recipe:
        raise ConfigError(f"--recipe: a run is resumed with its own settings, those in {path}")
    config = TrainConfig.load(path)
    for name, value in given.items():
        if getattr(config, name) != value:
            raise ConfigError(
                f"{name} is {getattr(config, name)} in {path}, not {value}: "
                "a run is resumed with its own settings"
            )
    return config
