"""The face classifier: a network behind the fixed preprocessing of the model's contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fer_edge.errors import ConfigError, ModelError
from fer_edge.runtime.formats.model_files import check_file
from fer_edge.spec import InputSpec
from fer_edge.train.networks.architectures import find_architecture
from fer_edge.train.networks.pixel_model import PixelModel, is_finite

# ImageNet's mean and standard deviation of pixel / 255, the three channels weighted as in a gray
# image. Weights of other origin may need others (`--mean`, `--std`).
MEAN, STD = 0.459, 0.226


class FaceClassifier(PixelModel):
    """The exported graph's contract as a module: uint8 `[N, S, S]` to float32 `[N, labels]`."""

    def __init__(self, network: nn.Module, spec: InputSpec, stem: str) -> None:
        super().__init__(network, spec.mean, spec.std, stem)
        self.spec = spec

    def with_network(self, network: nn.Module) -> FaceClassifier:
        """The same model with another network."""
        return FaceClassifier(network, self.spec, self.stem)

    def forward(self, faces: Tensor) -> Tensor:
        """Compute logits float32 `[N, labels]` of uint8 faces `[N, S, S]`."""
        return self.forward_pixels(faces.unsqueeze(1).float())

    def forward_pixels(self, pixels: Tensor, side: int | None = None) -> Tensor:
        """Compute logits of pixels float32 `[N, 1, S, S]` in [0, 255], such as augmented faces.

        They are resized to `side` pixels, by default the spec's `network_side`.
        """
        logits: Tensor = self.network(self.normalize(pixels, side))
        return logits

    def normalize(self, pixels: Tensor, side: int | None = None) -> Tensor:
        """Resize and normalize pixels for the network; arguments as in `forward_pixels`."""
        side = side or self.spec.network_side
        if pixels.shape[-1] != side:
            pixels = nn.functional.interpolate(
                pixels, size=(side, side), mode="bilinear", align_corners=False
            )
        return super().normalize(pixels)


def build_classifier(architecture: str, labels: int, spec: InputSpec) -> FaceClassifier:
    """Build an untrained network with a gray stem and a head for `labels` classes.

    Raises:
        ConfigError: the architecture isn't in the table.
    """
    entry = find_architecture(architecture)
    network = entry.build()
    _make_stem_gray(network, entry.stem)
    model = FaceClassifier(network, spec, entry.stem)
    head = get_head(model, architecture)
    network.set_submodule(entry.head, nn.Linear(head.in_features, labels))
    return model


def load_pretrained(model: FaceClassifier, architecture: str, weights: str) -> None:
    """Load ImageNet weights into all layers but the head; the stem's are summed over its channels.

    The sum is exact: it gives for a gray image what the RGB stem gives for three equal channels
    that are normalized with one mean and one standard deviation.

    Args:
        model: a model of this architecture that `build_classifier` made.
        architecture: a key of `ARCHITECTURES`.
        weights: "imagenet", which torchvision downloads and checks against the SHA-256 in the
            file's name, or the path of a `.pth` state dict with torchvision's names.

    Raises:
        ConfigError: there are no ImageNet weights of this architecture.
        ModelError: the file isn't a state dict, or isn't of this architecture.
    """
    entry = find_architecture(architecture)
    if weights == "imagenet":
        if not entry.has_imagenet:
            raise ConfigError(
                f"{architecture} has no ImageNet weights: use --weights none, or a checkpoint"
            )
        state: dict[str, Tensor] = entry.build(weights="DEFAULT").state_dict()
    else:
        state = _read_state(Path(weights))
    own = model.network.state_dict()
    stem, head = f"{entry.stem}.weight", f"{entry.head}."
    if stem in state and state[stem].ndim == 4:
        state[stem] = state[stem].sum(dim=1, keepdim=True)
    state = {key: value for key, value in state.items() if not key.startswith(head)}
    # A file of "features" may lack the classifier, which is then trained from scratch.
    classifier = head.split(".")[0] + "."
    for key, value in own.items():
        if key not in state and not key.startswith(classifier):
            raise ModelError(
                f"{weights}: {key} is missing: these are not weights of {architecture}"
            )
        if key in state and state[key].shape != value.shape:
            raise ModelError(
                f"{weights}: {key} is {list(state[key].shape)}, {architecture} "
                f"needs {list(value.shape)}"
            )
    try:
        model.network.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)
    except (RuntimeError, NotImplementedError) as error:  # sparse, quantized or complex tensors
        reason = str(error).strip().split("\n")[-1].strip()
        raise ModelError(f"{weights}: not weights of {architecture}: {reason}") from None
    if not is_finite(model):
        raise ModelError(f"{weights}: holds NaN or infinite weights")


def get_head(model: FaceClassifier, architecture: str) -> nn.Linear:
    """Return the last linear layer, which has one row per label."""
    head = model.network.get_submodule(find_architecture(architecture).head)
    assert isinstance(head, nn.Linear)
    return head


def is_head_parameter(name: str, architecture: str) -> bool:
    """Whether a parameter of a `FaceClassifier`, given by name, belongs to the classifier."""
    return name.startswith(f"network.{find_architecture(architecture).head.split('.')[0]}.")


def _make_stem_gray(network: nn.Module, stem: str) -> None:
    old = network.get_submodule(stem)
    assert isinstance(old, nn.Conv2d)
    names = ("out_channels", "kernel_size", "stride", "padding")
    options: Any = {name: getattr(old, name) for name in names}
    new = nn.Conv2d(1, **options, bias=old.bias is not None)
    new.load_state_dict({**old.state_dict(), "weight": old.weight.sum(dim=1, keepdim=True)})
    network.set_submodule(stem, new)


def _read_state(path: Path) -> dict[str, Tensor]:
    check_file(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
        raise ModelError(f"{path}: not a PyTorch state dict ({reason})") from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise ModelError(f"{path}: not a PyTorch state dict: expected names of tensors")
    return state
