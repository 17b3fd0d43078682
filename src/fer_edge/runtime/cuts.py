"""Where a film cuts: frames that begin a new shot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = (32, 24)
"""Width and height, in pixels, of the copies that are compared, whatever the frame's shape."""
SAMPLES = 4
"""Pixels of the frame, across and down, whose mean is a pixel of the copy: noise averages out, and
a large frame costs no more than a small one."""
MAX_SHIFT = 4
"""Pixels of the copy by which a frame may have moved: 1/8 of its width."""
NOISE = 2.0
"""Standard deviation of gray levels, of 255, below which an image counts as flat."""
MIN_SIMILARITY = 0.6
"""Between shots and cuts, as `benchmarks/streams.py` measures."""

Gray = npt.NDArray[np.float32]


class CutFinder:
    """Says of each frame of one stream whether it begins a new shot.

    It does where its small gray copy is unlike that of the frame before, wherever the camera may
    have panned to. A dissolve is no cut: it has no such frame.

    Args:
        min_similarity: of a frame and the one before in one shot, in [-1, 1]: see
            `measure_similarity`.
    """

    def __init__(self, min_similarity: float = MIN_SIMILARITY) -> None:
        self._min_similarity = min_similarity
        self._last: Gray | None = None

    def __call__(self, image: Image.Image) -> bool:
        """Whether a frame, L or RGB, begins a new shot; not of the first frame."""
        last, self._last = self._last, shrink_to_gray(image)
        if last is None or measure_similarity(last, self._last) >= self._min_similarity:
            return False
        return measure_similarity(last, self._last, MAX_SHIFT) < self._min_similarity


def shrink_to_gray(image: Image.Image) -> Gray:
    """The small copy of an image, float32 `[24, 32]`, in gray levels of 0 to 255."""
    sampled = image.resize((SIZE[0] * SAMPLES, SIZE[1] * SAMPLES), Image.Resampling.NEAREST)
    return np.asarray(sampled.convert("L").resize(SIZE, Image.Resampling.BOX), np.float32)


def measure_similarity(one: Gray, other: Gray, max_shift: int = 0) -> float:
    """Similarity of two images of one size, float32 `[H, W]`: 1 where they are the same.

    (2 cov + c) / (var + var' + c) with c = `NOISE`^2, the product of contrast and structure in SSIM
    (Wang et al., "Image Quality Assessment", IEEE Transactions on Image Processing 13, 2004) over
    the whole image: brightness doesn't count, contrast counts little.

    Args:
        one, other: the images.
        max_shift: the highest similarity counts of what both show if one is moved by up to this
            many pixels.
    """
    best = -1.0
    for down in range(-max_shift, max_shift + 1):
        for right in range(-max_shift, max_shift + 1):
            moved, still = _overlap(one, down, right), _overlap(other, -down, -right)
            moved, still = moved - moved.mean(), still - still.mean()
            shared = 2 * float((moved * still).mean())
            both = float((moved * moved).mean() + (still * still).mean())
            best = max(best, (shared + NOISE**2) / (both + NOISE**2))
    return best


def _overlap(image: Gray, down: int, right: int) -> Gray:
    """The part of an image that lies in another one which is moved down and to the right."""
    height, width = image.shape
    return image[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
