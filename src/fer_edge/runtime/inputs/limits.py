"""How large an image may be, and how much is decoded at once: the bounds of a process's memory."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from fer_edge.errors import SourceError

DECODE_BYTES = 200_000_000
"""Memory for all images that are decoded at one time. With the engines it makes 400 MB."""
MAX_PIXELS = 40_000_000
"""Default limit of the pixels of an image, or of one frame of a video: in most formats an image
takes 5 bytes a pixel while it is decoded and reduced."""
MAX_JPEG_PIXELS = 256_000_000
"""Default limit of a JPEG, which is decoded at reduced scale."""
FULL_SCALE_PIXELS = 25_000_000
"""An image of more pixels is read at a half, a quarter or an eighth of its scale."""
UPRIGHT_BYTES = 8
"""Bytes a pixel while an RGB image is rotated: Pillow holds it in 4, twice."""
_TRIM_ABOVE = 32_000_000
"""Bytes: the memory of a larger image is given back to the system."""
_M_MMAP_THRESHOLD = -3
"""In glibc's malloc.h."""
_MMAP_THRESHOLD = 4 * 2**20


def check_pixels(name: str, width: int, height: int, limit: int = MAX_PIXELS) -> None:
    """Refuse an image by the size that its header states, before it is decoded.

    Args:
        name: what the error calls the image.
        width, height: in pixels.
        limit: maximum of width x height.

    Raises:
        SourceError: it has more pixels.
    """
    if width * height > limit:
        raise SourceError(
            f"{name}: {width} x {height} px are {width * height / 1e6:,.1f} megapixels, over the "
            f"limit of {limit / 1e6:,.3g}: shrink it, or raise --max-pixels (max_pixels)"
        )


def choose_reduction(width: int, height: int) -> int:
    """The factor, 1, 2, 4 or 8, by which the sides of an image of this size are reduced."""
    fits = (one for one in (1, 2, 4) if width * height <= FULL_SCALE_PIXELS * one * one)
    return next(fits, 8)


class MemoryBudget:
    """Lets threads decode at the same time only what fits together into a number of bytes.

    They take turns in the order in which they ask; an image that doesn't fit at all goes alone. A
    thread that holds memory and needs more doesn't wait: others may wait for it.
    """

    def __init__(self, total: int) -> None:
        self._total, self._held = total, 0
        self._queue = threading.Lock()
        self._changed = threading.Condition()
        self._own = threading.local()

    @contextmanager
    def reserve(self, amount: int) -> Iterator[None]:
        """Wait for `amount` bytes to be free, and hold them while the block runs."""
        own = getattr(self._own, "held", 0)
        with nullcontext() if own else self._queue, self._changed:
            self._changed.wait_for(lambda: own or self._fits(amount))
            self._held += amount
        self._own.held = own + amount
        try:
            if amount > _TRIM_ABOVE:
                give_memory_back()  # what smaller images left
            yield
        finally:
            self._own.held = own
            with self._changed:
                self._held -= amount
                self._changed.notify_all()
            if amount > _TRIM_ABOVE:
                give_memory_back()

    def _fits(self, amount: int) -> bool:
        return not self._held or self._held + amount <= self._total


DECODING = MemoryBudget(DECODE_BYTES)
"""Shared by all threads of the process."""


def give_memory_back() -> None:
    """Return freed memory to the system, which glibc otherwise keeps for later.

    From then on glibc takes large blocks, as images have, from the system one by one. By default
    it keeps them in a heap for each thread, where they cannot be returned.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        libc.malloc_trim(0)
