from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.ft2font import FT2Font

from fer_edge.errors import ConfigError
from fer_edge.train.evaluation import label_fonts
from fer_edge.train.evaluation.metrics import Report
from fer_edge.train.evaluation.plots import plot_confusion, save_figure

PRIVATE = "\ue123"
"""In no font, since it means nothing."""


def test_a_label_without_a_font_is_marked_and_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise ConfigError("no font here")

    monkeypatch.setattr(label_fonts, "find_font", none)
    families, labels, hints = label_fonts.choose_fonts(
        ["müde", f"a{PRIVATE}", f"a{PRIVATE}{PRIVATE}"]
    )
    assert families == (label_fonts.DEFAULT_FAMILY,)
    assert labels == ("müde", "1: a?", "2: a??")
    assert hints == ("no font here",) * 2


def test_another_font_serves_what_the_first_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path(label_fonts.font_manager.findfont("STIXGeneral"))
    monkeypatch.setattr(label_fonts, "find_font", lambda *_: FT2FontLike(other))
    own = FT2Font(label_fonts.font_manager.findfont(label_fonts.DEFAULT_FAMILY))
    # one that STIX has and DejaVu hasn't
    stix = FT2Font(str(other)).get_charmap()
    rare = next(chr(code) for code in stix if code > 0xFFF and not own.get_char_index(code))
    assert label_fonts.choose_fonts(["a", rare]) == (
        (label_fonts.DEFAULT_FAMILY, "STIXGeneral"),
        ("a", rare),
        (),
    )


class FT2FontLike:
    def __init__(self, path: Path) -> None:
        self.path = path


def test_a_figure_with_any_label_is_drawn_without_a_warning(tmp_path: Path) -> None:
    labels = ("müde", "驚き", f"{PRIVATE}!")
    report = Report("m", "test", labels, np.arange(3), np.eye(3, dtype=np.float32))
    save_figure(plot_confusion(report), tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 5000


def test_a_dollar_sign_starts_no_formula_and_control_characters_are_escaped(tmp_path: Path) -> None:
    labels = (r"$\frac$", "a$x^2$b", "c\x1b\n")
    report = Report("$m_1$\x1b", "test", labels, np.arange(3), np.eye(3, dtype=np.float32))
    figure = plot_confusion(report)
    save_figure(figure, tmp_path / "c.png")
    shown = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert shown == [r"$\frac$", "a$x^2$b", r"c\x1b\n"]
    assert figure.axes[0].get_title().startswith(r"$m_1$\x1b on test")
