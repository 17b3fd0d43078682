from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest
from PIL import Image, ImageGrab

from fer_edge.errors import DeviceError
from fer_edge.runtime.drawing.window import Window, fit_to_screen

RED, GREEN = (200, 20, 20), (20, 200, 20)


def plain(width: int, height: int, colour: tuple[int, int, int] = RED) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    """A virtual display, 640 x 480."""
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb isn't installed")
    ours, theirs = os.pipe()
    command = ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "640x480x24"]
    with subprocess.Popen(
        [*command, "-nolisten", "tcp"], pass_fds=[theirs], stderr=subprocess.DEVNULL
    ) as server:
        os.close(theirs)
        with os.fdopen(ours) as answer:
            number = answer.readline().strip()
        assert number, "Xvfb didn't start"
        yield f":{number}"
        server.terminate()


@pytest.fixture
def display(screen: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DISPLAY", screen)
    return screen


def close_late(window: Window) -> list[bool]:
    """Close a window that nothing else closes and report it: the test fails rather than hangs."""
    never: list[bool] = []

    def end() -> None:
        never.append(True)
        window._close()

    window._root.after(30_000, end)
    return never


def press(window: Window, key: str) -> None:
    """Press a key until the window has it: one pressed before it has the focus is lost."""

    def try_again() -> None:
        window._root.event_generate("<Key>", keysym=key)
        if not window._pressed:
            window._root.after(50, try_again)

    window._root.after(50, try_again)


def test_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with (
        pytest.raises(DeviceError, match=r"--show needs a display: .*use --save instead"),
        Window(),
    ):
        pass


def test_a_display_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    monkeypatch.setenv("DISPLAY", "nowhere.invalid:0")
    with (
        pytest.raises(DeviceError, match=r"--show needs a display: .*use --save instead"),
        Window(),
    ):
        pass


def test_without_tkinter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(DeviceError, match="apt install python3-tk"), Window():
        pass


@pytest.mark.parametrize(
    ("size", "shown"),
    [((300, 200), (300, 200)), ((6000, 4000), (576, 384)), ((100, 9000), (5, 432))],
)
def test_images_fit_the_screen(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert fit_to_screen(plain(*size), 640, 480).size == shown


def test_images_appear_one_after_the_other(display: str) -> None:
    with Window() as window:
        for colour in (RED, GREEN, RED):
            assert window.show(plain(300, 200, colour), title="a.png")
            assert ImageGrab.grab(xdisplay=display).getpixel((150, 100)) == colour
        assert window._root.title() == "a.png"
        assert window.show(plain(3000, 2000, GREEN))
        grabbed = ImageGrab.grab(xdisplay=display)
        assert grabbed.getpixel((570, 380)) == GREEN
        assert grabbed.getpixel((630, 400)) != GREEN


@pytest.mark.usefixtures("display")
@pytest.mark.parametrize(("key", "more"), [("space", True), ("q", False), ("Escape", False)])
def test_an_image_stays_until_a_key_is_pressed(key: str, more: bool) -> None:
    with Window() as window:
        never = close_late(window)
        press(window, key)
        assert window.show(plain(300, 200), hold=True) is more
        assert not never
        assert window.show(plain(300, 200)) is more


@pytest.mark.usefixtures("display")
def test_the_thread_that_opened_the_window_frees_it() -> None:
    gc.disable()  # so that only the window itself collects
    try:
        with Window() as window:
            close_late(window)
            window.show(plain(300, 200))
            root = weakref.ref(window._root)
        assert root() is None
    finally:
        gc.enable()


@pytest.mark.usefixtures("display")
def test_closing_the_window_ends_it() -> None:
    with Window() as window:
        never = close_late(window)
        close = window._root.protocol("WM_DELETE_WINDOW")
        window._root.after(50, lambda: window._root.tk.call(close))
        assert not window.show(plain(300, 200), hold=True)
        assert not window.show(plain(300, 200), hold=True)
        assert not never
