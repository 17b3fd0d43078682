from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, features

from fer_edge.errors import ConfigError
from fer_edge.runtime.drawing import fonts

PLAIN = fonts.find_font("happy", 20).getname()
ENGLISH = ("angry", "happy")
CYRILLIC = "радость"
NOBODY_HAS = "\U0003ffff"


@pytest.fixture(autouse=True)
def _afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(fonts.VARIABLE, raising=False)
    yield
    fonts._system.cache_clear()
    fonts._find.cache_clear()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without fonts, and the folder that is searched."""
    monkeypatch.setattr(fonts, "_folders", lambda: iter([tmp_path]))
    fonts._system.cache_clear()
    fonts._find.cache_clear()
    return tmp_path


def a_font(text: str) -> Path:
    """A system font with this text."""
    path = fonts._find(fonts._visible(text), "")
    if path is None:
        pytest.skip(f"no font on this machine has {text!r}")
    assert path != fonts.DEFAULT
    return Path(path)


@pytest.mark.usefixtures("bare")
def test_english_needs_no_font_file() -> None:
    fonts.check_labels(("angry", "not sure", "75%"))
    assert fonts.find_font("happy 75%", 20).getname() == PLAIN
    assert fonts.find_font("happy", 20).size == 20


@pytest.mark.parametrize("text", ["dégoût", CYRILLIC, "χαρά"])
def test_other_scripts_are_drawn_with_a_font_that_has_them(text: str) -> None:
    a_font(text)
    font = fonts.find_font(text, 20)
    assert font.getname() != PLAIN
    missing = font.getmask(NOBODY_HAS)
    for letter in text:
        mask = font.getmask(letter)
        assert bytes(mask) != bytes(missing)


@pytest.mark.parametrize("text", ["怒り", "행복", "उदासी", "سعيد"])
def test_any_script_or_a_named_error(text: str) -> None:
    path = a_font(text)
    fonts.check_labels([text])
    assert fonts.find_font(text, 20).path == str(path)


@pytest.mark.usefixtures("bare")
def test_without_a_font_the_error_names_characters_and_what_to_do() -> None:
    with pytest.raises(
        ConfigError, match=r"怒 \(U\+6012\).* of 怒り: apt install fonts-noto"
    ) as why:
        fonts.check_labels(["happy", "怒り"])
    assert "happy" not in str(why.value)
    assert fonts.VARIABLE in str(why.value)
    with pytest.raises(ConfigError, match="怒"):
        fonts.find_font("怒り", 20)


def test_characters_that_no_font_can_have() -> None:
    with pytest.raises(ConfigError, match=r"U\+3FFFF"):
        fonts.find_font(f"happy{NOBODY_HAS}", 20)


@pytest.mark.usefixtures("bare")
def test_characters_without_a_glyph_need_none() -> None:
    fonts.check_labels(["happy\u200d \ufe0f\t"])


def test_a_named_font_that_cannot_be_read(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fonts.VARIABLE, str(bare / "none.ttf"))
    with pytest.raises(ConfigError, match=f"{fonts.VARIABLE}=.*not a font file"):
        fonts.check_labels(ENGLISH)


def test_a_named_font_is_used_for_english_too(monkeypatch: pytest.MonkeyPatch) -> None:
    path = a_font(CYRILLIC)
    monkeypatch.setenv(fonts.VARIABLE, str(path))
    assert fonts.find_font("happy", 20).path == str(path)


def test_a_damaged_font_is_skipped(bare: Path) -> None:
    (bare / "a.ttf").write_bytes(b"no font")
    with pytest.raises(ConfigError, match="no font here"):
        fonts.check_labels([CYRILLIC])


def test_labels_beside_each_other_have_one_font() -> None:
    path = a_font(CYRILLIC)
    assert fonts.find_font("happy", 20, beside=["happy", CYRILLIC]).path == str(path)
    assert fonts.find_font("happy", 20, beside=[NOBODY_HAS]).getname() == PLAIN


def test_plain_sans_fonts_come_first() -> None:
    names = ["DejaVuSans-Bold", "DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Oblique"]
    ranked = sorted((f"/x/{name}.ttf" for name in names), key=fonts._rank)
    assert [Path(one).stem for one in ranked] == [names[i] for i in (1, 3, 2, 0, 4)]


@pytest.mark.usefixtures("bare")
def test_replace_missing_marks_characters_without_a_font() -> None:
    assert fonts.replace_missing("clip 怒り.mp4") == "clip ??.mp4"
    assert fonts.replace_missing("clip.mp4") == "clip.mp4"
    assert fonts.replace_missing("\udc80.mp4") == "?.mp4"


@pytest.mark.parametrize("text", ["سعيد", "שמח", "उदासी"])
def test_scripts_that_need_a_layout_are_refused_without_it(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)
    monkeypatch.setattr(fonts, "_has", lambda *_: True)
    fonts._find.cache_clear()
    fonts.check_labels([CYRILLIC, "怒り"])
    with pytest.raises(ConfigError, match=f"{text}: .* apt install libfribidi0"):
        fonts.check_labels(["happy", text])


def test_arabic_letters_join() -> None:
    a_font("سعيد")
    if not features.check("raqm"):
        pytest.skip("Pillow has no raqm here")
    image = Image.new("L", (200, 60))
    font = fonts.find_font("سعيد", 40)
    ImageDraw.Draw(image).text((10, 5), "سع", font=font, fill=255)
    apart = sum(font.getlength(letter) for letter in "سع")
    box = image.getbbox()
    assert box is not None
    assert box[2] - box[0] < apart
