"""Depthwise convolutions on maps of 2 x 2 pixels, at the speed of larger ones."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class SmallMaps(TorchFunctionMode):
    """While it lasts, a 3 x 3 depthwise convolution takes a map of 2 x 2 as one of 3 x 3.

    On CPUs oneDNN computes the gradient of its weights 15 times as slowly for 2 x 2 as for 3 x 3:
    a sixth of a whole step of MobileNetV2 at 64 px (`benchmarks/training_step.py`, AVX2). A row and
    a column of zeros more are those that its padding of 1 would have read, and what comes of
    them is cut off, so answers and gradients are the same.
    """

    def __torch_function__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Pass every call on, such a convolution with the larger map."""
        if func is torch.conv2d and not kwargs and _is_slow(*args):
            x, *rest = args
            return func(functional.pad(x, (0, 1, 0, 1)), *rest)[..., :2, :2]
        return func(*args, **(kwargs or {}))


def _is_slow(x: Any, weight: Any, *rest: Any) -> bool:
    """Of `torch.conv2d`'s arguments in their order, as `nn.Conv2d` gives them."""
    return (
        x.shape[-2:] == (2, 2)
        and weight.shape[1:] == (1, 3, 3)
        and rest[1:] == ((1, 1), (1, 1), (1, 1), x.shape[1])
    )
