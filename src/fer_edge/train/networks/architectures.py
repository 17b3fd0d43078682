"""The networks: one path from pre-trained weights to the graph's contract."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from fer_edge.errors import ConfigError, ModelError
from fer_edge.spec import InputSpec
from fer_edge.train.networks.registry import ARCHITECTURES, Architecture

# ImageNet's, the three channels' weighted as in a gray picture; V3-Small's weights of other origin
# expect 0.5 and 0.5: `--mean`, `--std`.
MEAN, STD = 0.459, 0.226


class FaceClassifier(nn.Module):
    """uint8 `[N, S, S]` -> float32 logits `[N, labels]`: the graph's contract as a module."""

    def __init__(self, network: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        # (pixel / 255 - mean) / std as one multiplication and one addition
        self.scale = 1 / (255 * spec.std)
        self.shift = -spec.mean / spec.std

    def forward(self, faces: Tensor) -> Tensor:
        """Logits of uint8 faces `[N, S, S]`."""
        return self.from_pixels(faces.unsqueeze(1).float())

    def from_pixels(self, pixels: Tensor, side: int | None = None) -> Tensor:
        """Logits of float pixels in [0, 255], `[N, 1, S, S]`, as augmentation makes them.

        `side`, in pixels, is what they are resized to; None: the spec's.
        """
        side = side or self.spec.network_side
        if pixels.shape[-1] != side:
            pixels = nn.functional.interpolate(
                pixels, size=(side, side), mode="bilinear", align_corners=False
            )
        logits: Tensor = self.network(pixels * self.scale + self.shift)
        return logits


def build(architecture: str, labels: int, spec: InputSpec) -> FaceClassifier:
    """An untrained network with a gray stem and a head for `labels` classes.

    Raises:
        ConfigError: the architecture isn't in the table.
    """
    entry = _entry(architecture)
    network = entry.build(weights=None)
    _make_gray(network, entry.stem)
    model = FaceClassifier(network, spec)
    _replace(network, entry.head, nn.Linear(head_of(model, architecture).in_features, labels))
    return model


def load_pretrained(model: FaceClassifier, architecture: str, weights: str) -> None:
    """Start `model` from ImageNet weights: all but the head, the stem summed over its channels.

    Summing is exact: a gray picture given three times to the RGB stem, normalised with one mean and
    one std, is answered alike by the sum's one channel.

    Args:
        model: as `build` made it.
        architecture: its name.
        weights: "imagenet", which downloads through torchvision (checked against the SHA-256 in the
            file's name), or the path of a `.pth` state dict under torchvision's names.

    Raises:
        ModelError: the file isn't a state dict, or isn't of this architecture.
    """
    entry = _entry(architecture)
    if weights == "imagenet":
        state: dict[str, Tensor] = entry.build(weights="DEFAULT").state_dict()
    else:
        state = _read_state(Path(weights))
    own = model.network.state_dict()
    stem, head = f"{entry.stem}.weight", f"{entry.head}."
    if stem in state:
        state[stem] = state[stem].sum(dim=1, keepdim=True)
    state = {key: value for key, value in state.items() if not key.startswith(head)}
    # A file of "features" may end before the classifier; what is new there is trained from scratch.
    first_of_head = head.split(".")[0] + "."
    for key, value in own.items():
        if key not in state and not key.startswith(first_of_head):
            raise ModelError(f"{weights}: {key} is missing: not weights of {architecture}")
        if key in state and state[key].shape != value.shape:
            raise ModelError(
                f"{weights}: {key} is {list(state[key].shape)}, {architecture} "
                f"needs {list(value.shape)}"
            )
    model.network.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)


def head_of(model: FaceClassifier, architecture: str) -> nn.Linear:
    """The last linear layer, one row a label."""
    head = model.network.get_submodule(_entry(architecture).head)
    assert isinstance(head, nn.Linear)
    return head


def is_head(name: str, architecture: str) -> bool:
    """Whether a parameter of a `FaceClassifier` belongs to the classifier after the features."""
    return name.startswith(f"network.{_entry(architecture).head.split('.')[0]}.")


def _entry(architecture: str) -> Architecture:
    if architecture not in ARCHITECTURES:
        raise ConfigError(
            f"the architecture {architecture!r} is none of {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[architecture]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def _make_gray(network: nn.Module, stem: str) -> None:
    old = network.get_submodule(stem)
    assert isinstance(old, nn.Conv2d)
    new = nn.Conv2d(
        1,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    with torch.no_grad():
        new.weight.copy_(old.weight.sum(dim=1, keepdim=True))
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    _replace(network, stem, new)


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise ModelError(f"{path}: not a PyTorch state dict ({error})") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path}: not a PyTorch state dict: expected names of tensors")
    return state
