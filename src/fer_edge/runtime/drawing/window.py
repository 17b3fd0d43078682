"""A window for annotated pictures and videos, through Python's own tkinter."""

from __future__ import annotations

import os
import sys
import time
from contextlib import AbstractContextManager
from typing import Any

from PIL import Image

from fer_edge.errors import DeviceError

_OF_SCREEN = 0.9
"""Part of the screen that a picture may fill: bars and borders need the rest."""
_PAUSE = 0.02
"""Seconds between looks for keys while a picture stays."""
_LEAVE = ("q", "Q", "Escape")


class Window(AbstractContextManager["Window"]):
    """Shows one picture after the other.

    The window opens with the block and closes with it. The user ends it with q, Escape or its
    closing button.

    Args:
        title: in the window's bar.

    Raises:
        DeviceError: when the block is entered: there is no display, or no tkinter.
    """

    def __init__(self, title: str = "fer") -> None:
        self.title = title
        self._closed = False
        self._pressed = False
        self._root: Any = None
        self._photo: Any = None

    def __enter__(self) -> Window:
        """Open the window; it appears with its first picture."""
        tkinter = _tkinter()
        try:
            self._root = tkinter.Tk(className="fer")
        except tkinter.TclError as error:
            raise _no_display(str(error)) from None
        self._root.withdraw()
        self._root.title(self.title)
        self._root.resizable(False, False)
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._root.bind("<Key>", self._key)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._closed = False
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._closed = True
        self._photo = None
        root, self._root = self._root, None
        root.destroy()

    def show(self, image: Image.Image, *, hold: bool = False, title: str = "") -> bool:
        """Show a picture, smaller where the screen is.

        Args:
            image: of any size.
            hold: come back when a key is pressed; else at once, and the picture stays until the
                next one.
            title: in the window's bar from now on; empty: as before.

        Returns:
            Whether the user wants to see more: False once the window is closed.
        """
        if self._closed:
            return False
        self._pressed = False
        if title:
            self._root.title(title)
        self._put(fitted(image, self._root.winfo_screenwidth(), self._root.winfo_screenheight()))
        self._root.update()
        # not Tk's own waiting, which Ctrl-C doesn't end
        while hold and not (self._closed or self._pressed):
            time.sleep(_PAUSE)
            self._root.update()
        return not self._closed

    def _put(self, image: Image.Image) -> None:
        from PIL import ImageTk

        if self._photo is not None and image.size == (self._photo.width(), self._photo.height()):
            self._photo.paste(image)
            return
        first = self._photo is None
        self._photo = ImageTk.PhotoImage(image, master=self._root)
        self._label.configure(image=self._photo)
        if first:
            self._root.deiconify()
            self._root.update()
            self._root.focus_force()  # keys, where no window manager gives them to it

    def _key(self, event: Any) -> None:
        self._pressed = True
        if event.keysym in _LEAVE:
            self._close()

    def _close(self) -> None:
        self._closed = True
        self._root.withdraw()


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """RGB, no larger than nine tenths of a screen of `width` x `height` pixels."""
    most = (max(1, int(width * _OF_SCREEN)), max(1, int(height * _OF_SCREEN)))
    share = min(1.0, most[0] / image.width, most[1] / image.height)
    image = image.convert("RGB")
    if share == 1.0:
        return image
    size = (max(1, int(image.width * share)), max(1, int(image.height * share)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _tkinter() -> Any:
    """The module, on a machine that can show something."""
    wanted = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform == "linux" and not any(map(os.environ.get, wanted)):
        raise _no_display("neither DISPLAY nor WAYLAND_DISPLAY is set")
    try:
        import tkinter

        from PIL import ImageTk  # noqa: F401  Debian packs it apart
    except ImportError as error:
        raise DeviceError(
            f"--show needs Python's tkinter ({error}): "
            "apt install python3-tk python3-pil.imagetk, or use --save instead"
        ) from None
    return tkinter


def _no_display(why: str) -> DeviceError:
    return DeviceError(f"--show needs a display: {why}: use --save instead")
