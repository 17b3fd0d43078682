"""Networks published with their batch norms folded into biases: read them, restore the norms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_BATCH_SIZE = 128
_EPSILON = nn.BatchNorm2d(1).eps


def read_convolution(
    tensors: dict[str, Tensor], source: str, convolution: str, norm: str
) -> dict[str, Tensor]:
    """Read a convolution with a bias as one without, and a batch norm that only adds the bias.

    Args:
        tensors: with `{source}.weight` and `{source}.bias`.
        source: name of the published layer.
        convolution, norm: names of the two layers in the result.

    Raises:
        KeyError: a tensor is missing.
    """
    bias = tensors[f"{source}.bias"].float()
    return {
        f"{convolution}.weight": tensors[f"{source}.weight"].float(),
        f"{norm}.weight": torch.ones_like(bias),
        f"{norm}.bias": bias,
        f"{norm}.running_mean": torch.zeros_like(bias),
        f"{norm}.running_var": torch.ones_like(bias) - _EPSILON,
    }


def make_gray(
    state: dict[str, Tensor], convolution: str, norm: str, means: tuple[float, float, float]
) -> None:
    """Turn a colour stem into a gray one, in place, for gray pixels less the mean of `means`.

    The published stem takes each channel less its own mean. The differences between the means move
    into the bias, so the result is the same for a gray image away from its border.

    Args:
        state: what `read_convolution` returned.
        convolution, norm: names of the stem's layers.
        means: of the stem's channels, in its own order and its unit.
    """
    weight = state[f"{convolution}.weight"]
    offset = torch.tensor(means) - sum(means) / 3
    state[f"{norm}.bias"] = state[f"{norm}.bias"] - (weight.sum((2, 3)) * offset).sum(1)
    state[f"{convolution}.weight"] = weight.sum(1, keepdim=True)


def restore_batch_norms(network: nn.Module, inputs: Tensor) -> None:
    """Give every batch norm the statistics of some inputs, in place, and leave the function as is.

    A network that was published with folded batch norms trains badly: nothing keeps the scale of
    its activations. With batch norms whose weights undo their statistics it computes the same in
    evaluation, and nearly the same in training.

    Args:
        network: any network with `BatchNorm2d`.
        inputs: float32 `[N, channels, S, S]`, as in training; a thousand suffice.
    """
    moments: dict[nn.BatchNorm2d, Tensor] = {}

    def observe(norm: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        x = inputs[0].double()
        own = torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]) * len(x)
        moments[norm] = moments.get(norm, torch.zeros_like(own)) + own

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_hook(observe) for norm in norms]
    modes = {module: module.training for module in network.modules()}
    network.eval()
    with torch.no_grad():
        for batch in torch.split(inputs, _BATCH_SIZE):
            network(batch)
        for hook in hooks:
            hook.remove()
        for norm, sums in moments.items():
            mean, square = sums / len(inputs)
            variance = (square - mean.square()).clamp_min(0)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            norm.bias.copy_(norm.bias + scale * (mean - norm.running_mean))
            norm.weight.copy_(scale * (variance + norm.eps).sqrt())
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
    for module, mode in modes.items():  # Lightning trains in the mode that it finds
        module.training = mode
