"""Fonts that have every character of a text, in any script."""

from __future__ import annotations

import functools
import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from PIL import ImageFont, features

from fer_edge.errors import ConfigError
from fer_edge.text import printable

VARIABLE = "FER_EDGE_FONT"
DEFAULT = ""
"""Instead of a path: Pillow's own font, which has the letters of English and no others."""
_SUFFIXES = frozenset((".otc", ".otf", ".ttc", ".ttf"))
_STYLED = ("bold", "black", "heavy", "medium", "light", "thin", "italic", "oblique", "condensed")
_OTHER_FAMILIES = ("mono", "serif", "display", "lastresort")
_UNASSIGNED = ("\uffff", "\U0010ffff")
"""Never characters: a font shows its glyph for missing characters."""
_PROBE_SIZE = 24
"""Pixels at which glyphs are compared."""
_JOINED = ((0x0900, 0x0DFF), (0x0F00, 0x109F), (0x1780, 0x18AF), (0xA8E0, 0xA8FF), (0xA980, 0xAADF))
"""Scripts of India, Tibet, Burma, Cambodia, Mongolia, Java: adjacent letters join.
Scripts from right to left are recognized by their direction."""
INSTALL = f"apt install fonts-noto-core fonts-noto-cjk, or set {VARIABLE} to a font file"


def find_font(text: str, size: float, *, beside: Iterable[str] = ()) -> ImageFont.FreeTypeFont:
    """A font of `size` pixels that has every visible character of `text`.

    The first of: the one that `FER_EDGE_FONT` names, Pillow's own, the system's, regular and
    sans-serif ones first; preferably one that has the characters of the texts `beside` it as well.
    Without Pillow's raqm layout, text from right to left and letters that join are drawn wrongly;
    `check_labels` refuses them.

    Raises:
        ConfigError: no font has them all, or `FER_EDGE_FONT` names no font.
    """
    named, needed = _named(), _visible(text)
    path = _find(needed | _visible("".join(beside)), named)
    if path is None and (path := _find(needed, named)) is None:
        raise _missing_characters((text,), named)
    return _opened(path, size)


def check_labels(labels: Iterable[str]) -> None:
    """Check that each label can be drawn, before work begins.

    Raises:
        ConfigError: see `find_font`; or a label needs a layout that Pillow lacks here.
    """
    named, labels = _named(), tuple(map(printable, labels))
    lacking = tuple(label for label in labels if _find(_visible(label), named) is None)
    if lacking:
        raise _missing_characters(lacking, named)
    needing = [label for label in labels if any(map(_needs_layout, label))]
    if needing and not features.check("raqm"):
        raise ConfigError(
            f"{', '.join(needing)}: Pillow cannot lay out this script here: apt install libfribidi0"
        )


def replace_missing(text: str) -> str:
    """The text with "?" instead of characters that no font has, for names that users choose."""
    named, needed = _named(), _visible(text)
    if _find(needed, named) is not None:
        return text
    best = max(_paths(named), key=lambda path: sum(_has(path, one) for one in needed))
    return "".join("?" if one in needed and not _has(best, one) else one for one in text)


def _named() -> str:
    """The font to try first, or an empty string."""
    named = os.environ.get(VARIABLE, "")
    if named and _probe(named) is None:
        message = "not a font file that can be read: give a .ttf, .otf or .ttc"
        raise ConfigError(f"{VARIABLE}={named}: {message}")
    return named


def _visible(text: str) -> frozenset[str]:
    """Characters that need a glyph: no spaces, controls, joiners or variation selectors."""
    return frozenset(
        one
        for one in text
        if not one.isspace()
        and unicodedata.category(one) not in ("Cc", "Cf")
        and not 0xFE00 <= ord(one) <= 0xFE0F
    )


def _needs_layout(one: str) -> bool:
    is_right_to_left = unicodedata.bidirectional(one) in ("R", "AL")
    return is_right_to_left or any(first <= ord(one) <= last for first, last in _JOINED)


def _missing_characters(texts: tuple[str, ...], named: str) -> ConfigError:
    needed = sorted(_visible("".join(texts)))
    absent = [one for one in needed if _find(frozenset(one), named) is None]
    marks = " ".join(f"{one} (U+{ord(one):04X})" for one in (absent or needed)[:8])
    more = " ..." if len(absent or needed) > 8 else ""
    return ConfigError(f"no font here has {marks}{more} of {', '.join(texts)}: {INSTALL}")


@functools.lru_cache(maxsize=256)
def _find(needed: frozenset[str], named: str) -> str | None:
    """The first font that has all characters."""
    return next((path for path in _paths(named) if all(_has(path, c) for c in needed)), None)


def _paths(named: str) -> Iterator[str]:
    yield from (named,) if named else ()
    yield DEFAULT
    yield from _system(tuple(_folders()))


def _folders() -> Iterator[Path]:
    """Folders of fonts (XDG Base Directory)."""
    with suppress(RuntimeError):  # a user without a home folder
        yield from (Path.home() / ".fonts", Path.home() / ".local" / "share" / "fonts")
    shared = os.environ.get("XDG_DATA_DIRS", "").split(os.pathsep)
    for folder in (os.environ.get("XDG_DATA_HOME"), *shared, "/usr/local/share", "/usr/share"):
        if folder:
            yield Path(folder) / "fonts"


@functools.cache
def _system(folders: tuple[Path, ...]) -> tuple[str, ...]:
    found = {
        str(Path(folder, name))
        for top in folders
        for folder, _, names in os.walk(top)
        for name in names
        if Path(name).suffix.lower() in _SUFFIXES
    }
    return tuple(sorted(found, key=_rank))


def _rank(path: str) -> tuple[int, int, str, str]:
    stem = Path(path).stem.lower()
    styles = sum(word in stem for word in _STYLED)
    others = ("sans" not in stem) + sum(word in stem for word in _OTHER_FAMILIES)
    return styles, others, stem, path


@functools.lru_cache(maxsize=65_536)
def _has(path: str, character: str) -> bool:
    """Whether a font draws a character differently from a missing one."""
    probe = _probe(path)
    return probe is not None and _shape(probe[0], character) not in probe[1]


Shape = tuple[tuple[int, int], bytes]


@functools.lru_cache(maxsize=64)
def _probe(path: str) -> tuple[ImageFont.FreeTypeFont, frozenset[Shape]] | None:
    """A font and its glyphs for missing characters; None: it cannot be opened."""
    try:
        # one glyph for each character: a layout would join some
        font = _opened(path, _PROBE_SIZE, ImageFont.Layout.BASIC)
    except OSError:
        return None  # damaged, or of fixed sizes as colour emoji are: it cannot draw
    return font, frozenset(_shape(font, one) for one in _UNASSIGNED)


def _shape(font: ImageFont.FreeTypeFont, character: str) -> Shape:
    mask = font.getmask(character)
    return mask.size, bytes(mask)


@functools.lru_cache(maxsize=64)
def _opened(
    path: str, size: float, layout: ImageFont.Layout | None = None
) -> ImageFont.FreeTypeFont:
    if path != DEFAULT:
        return ImageFont.truetype(path, size, layout_engine=layout)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
