"""A window for annotated images and videos, drawn by tkinter."""

from __future__ import annotations

import gc
import os
import sys
import time
from contextlib import AbstractContextManager
from typing import Any

from PIL import Image

from fer_edge.errors import DeviceError
from fer_edge.text import printable

_MAX_SCREEN_FRACTION = 0.9
"""Bars and borders need the rest."""
_POLL_INTERVAL = 0.02
"""Seconds between checks for keys while an image is held."""
INSTEAD = "use --save instead, or a browser, with fer serve"
_CLOSING_KEYS = ("q", "Q", "Escape")


class Window(AbstractContextManager["Window"]):
    """Shows one image after the other; the user closes it with q, Escape or its button.

    Raises:
        DeviceError: on entering the block: there is no display, or no tkinter.
    """

    def __init__(self) -> None:
        self._closed = self._pressed = False
        self._root: Any = None
        self._photo: Any = None
        self._label: Any = None

    def __enter__(self) -> Window:
        """Open the window; it appears with its first image."""
        tkinter = _tkinter()
        try:
            self._root = tkinter.Tk(className="fer")
        except tkinter.TclError as error:
            raise _no_display(str(error)) from None
        self._root.withdraw()
        self._root.title("fer")
        self._root.resizable(False, False)
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._root.bind("<Key>", self._key)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._closed = False
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, and free Tk's objects."""
        self._closed = True
        self._photo = self._label = None
        self._root.destroy()
        self._root = None
        # They are cycles, and Tcl aborts the process when another thread collects them.
        gc.collect()

    def show(self, image: Image.Image, *, hold: bool = False, title: str = "") -> bool:
        """Show an image, shrunk to the screen if it is larger.

        Args:
            hold: return when a key is pressed; else at once, and the image stays until the next.
            title: the window's new title; empty: unchanged.

        Returns:
            False once the user has closed the window.
        """
        if self._closed:
            return False
        self._pressed = False
        if title:
            self._root.title(printable(title))
        screen = self._root.winfo_screenwidth(), self._root.winfo_screenheight()
        self._put(fit_to_screen(image, *screen))
        self._root.update()
        # Tk's own waiting would not end with Ctrl-C
        while hold and not (self._closed or self._pressed):
            time.sleep(_POLL_INTERVAL)
            self._root.update()
        return not self._closed

    def _put(self, image: Image.Image) -> None:
        from PIL import ImageTk

        if self._photo is not None and image.size == (self._photo.width(), self._photo.height()):
            self._photo.paste(image)
            return
        is_first = self._photo is None
        self._photo = ImageTk.PhotoImage(image, master=self._root)
        self._label.configure(image=self._photo)
        if is_first:
            self._root.deiconify()
            self._root.update()
            self._root.focus_force()  # keys, where no window manager gives them to it

    def _key(self, event: Any) -> None:
        self._pressed = True
        if event.keysym in _CLOSING_KEYS:
            self._close()

    def _close(self) -> None:
        self._closed = True
        self._root.withdraw()


def fit_to_screen(image: Image.Image, width: int, height: int) -> Image.Image:
    """The image, RGB, shrunk to 90 % of a screen of `width` x `height` pixels if it is larger."""
    limit = (max(1, width * _MAX_SCREEN_FRACTION), max(1, height * _MAX_SCREEN_FRACTION))
    image = image.convert("RGB")
    image.thumbnail(limit, Image.Resampling.BILINEAR)
    return image


def _tkinter() -> Any:
    """The module tkinter, on a machine with a display."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform == "linux" and not any(map(os.environ.get, variables)):
        raise _no_display("neither DISPLAY nor WAYLAND_DISPLAY is set")
    try:
        import tkinter

        from PIL import ImageTk  # noqa: F401  Debian packages it separately
    except ImportError as error:
        raise DeviceError(
            f"--show needs Python's tkinter ({error}): "
            f"apt install python3-tk python3-pil.imagetk, or {INSTEAD}"
        ) from None
    return tkinter


def _no_display(reason: str) -> DeviceError:
    return DeviceError(f"--show needs a display: {reason}: {INSTEAD}")
