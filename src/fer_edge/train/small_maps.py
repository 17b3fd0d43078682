"""Depthwise convolutions on maps of 2 x 2 pixels, at the speed of larger ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class SmallMaps(TorchFunctionMode):
    """While it lasts, a 3 x 3 depthwise convolution takes a map of 2 x 2 as one of 3 x 3.

    Without AVX-512, oneDNN computes the gradient of its weights 15 times as slowly for 2 x 2 as for
    3 x 3, and three of MobileNetV2's blocks see such maps: at 64 px a step took 1.1 times as long
    without this, at 48 px 1.2 times (`benchmarks/training_step.py`, one core that did other work
    as well). A row and a column of zeros more are those that its padding of 1 would have read, and
    what comes of them is cut off, so answers and gradients are the same.
    """

    def __torch_function__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Pass every call on, such a convolution with the larger map."""
        if func is torch.conv2d and not kwargs and _is_slow(*args):
            x, *rest = args
            larger: Tensor = func(functional.pad(x, (0, 1, 0, 1)), *rest)
            # a view would slow down the batch norm after it
            return larger[..., :2, :2].contiguous(memory_format=torch.channels_last)
        return func(*args, **(kwargs or {}))


def _is_slow(x: Any, weight: Any, *rest: Any) -> bool:
    """Of `torch.conv2d`'s arguments in their order, as `nn.Conv2d` gives them."""
    return (
        x.device.type == "cpu"
        and x.shape[-2:] == (2, 2)
        and weight.shape[1:] == (1, 3, 3)
        and rest[1:] == ((1, 1), (1, 1), (1, 1), x.shape[1])
    )
