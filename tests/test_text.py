"""Text of unknown origin, made safe to show."""

from __future__ import annotations

import json

import pytest

from fer_edge.errors import MAX_LENGTH, ConfigError, MissingExtraError, ModelError
from fer_edge.text import format_count, format_json, one_line, printable, shorten

HARMFUL = {
    "\x1b[2J": r"\x1b[2J",
    "a\nb\rc\td": r"a\nb\rc\td",
    "\x00\x7f\x9b31m": r"\x00\x7f\x9b31m",
    "gnp\u202exe.png": r"gnp\u202exe.png",
    "\u2066\u2069\u200b\ufeff\u2028": r"\u2066\u2069\u200b\ufeff\u2028",
    "\udcff": r"\udcff",
    "\U000e0041": r"\U000e0041",
}
HARMLESS = ("", "plain", "glücklich", "幸せ\u3000", "می\u200cخواهم", "😀👩\u200d🚀", "a\xa0b")


@pytest.mark.parametrize(("text", "shown"), HARMFUL.items(), ids=ascii)
def test_characters_that_change_a_terminal_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()


@pytest.mark.parametrize("text", HARMLESS, ids=ascii)
def test_every_script_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert json.dumps(text, ensure_ascii=False) in format_json({"a": text})


@pytest.mark.parametrize("text", [*HARMFUL, *HARMLESS], ids=ascii)
def test_json_holds_no_control_character_and_reads_back_exactly(text: str) -> None:
    line = format_json({"label": text})
    assert printable(line) == line
    assert json.loads(line) == {"label": text}


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        format_json({"a": float("nan")})


def test_a_foreign_message_becomes_one_short_line() -> None:
    message = RuntimeError("Check failed:\n  at src/a.cpp:1\n\n\tno \x1b[0m")
    assert one_line(message) == r"Check failed: at src/a.cpp:1 no \x1b[0m"
    line = one_line("begin " + "x" * 10_000 + " end", 100)
    assert len(line) <= 100
    assert line.startswith("begin")
    assert line.endswith("end")
    assert shorten("short", 100) == "short"


def test_an_error_is_one_line_of_bounded_length() -> None:
    assert str(ModelError("a\n\x1b[2J.onnx: damaged")) == r"a\n\x1b[2J.onnx: damaged"
    assert len(str(ConfigError("x" * 10 * MAX_LENGTH))) <= MAX_LENGTH
    assert str(MissingExtraError("av", "video")).startswith("av is not installed")


def test_a_count_has_its_noun() -> None:
    counts = [format_count(count, "face") for count in (0, 1, 1200)]
    assert counts == ["0 faces", "1 face", "1,200 faces"]
