"""Text of unknown origin made safe to show: file names, labels, a spec's texts, engines' messages.

A control character in a file name can rewrite a terminal's screen, and one that changes the writing
direction can make a line read as another.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

_ESCAPED = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories: control and format characters (escape sequences, writing direction, zero
width), lone surrogates, line and paragraph separators."""
_JOINERS = "\u200c\u200d"
"""Format characters that Persian, Indic scripts and emoji are written with."""
_NOT_ASCII = re.compile("[^ -~]")


def printable(text: object) -> str:
    r"""`str(text)` on one line: control characters become escapes such as `\x1b` and `\n`."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(_escape(one) if _is_escaped(one) else one for one in shown)


def one_line(message: object, limit: int = 300) -> str:
    """A foreign message, such as an engine's, on one line, shortened to `limit` characters."""
    return printable(shorten(" ".join(str(message).split()), limit))


def shorten(text: str, limit: int) -> str:
    """The beginning and the end of a text that has more than `limit` characters."""
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def format_count(count: int, noun: str) -> str:
    """Write a number and what it counts: "1 face", "1,200 faces"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_json(document: Mapping[str, Any]) -> str:
    """One line of JSON that holds no control character; reading it gives the exact texts."""
    # by itself, it escapes only the characters before a space
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return text if text.isprintable() else _NOT_ASCII.sub(_escape_json, text)


def _is_escaped(character: str) -> bool:
    return unicodedata.category(character) in _ESCAPED and character not in _JOINERS


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _escape_json(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if _is_escaped(found[0]) else found[0]
