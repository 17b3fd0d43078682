"""Batch norms of a network whose own were folded into its convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_BATCH_SIZE = 128


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

    hooks = [m.register_forward_hook(observe) for m in network.modules() if is_norm(m)]
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


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a batch norm of images."""
    return isinstance(module, nn.BatchNorm2d)
