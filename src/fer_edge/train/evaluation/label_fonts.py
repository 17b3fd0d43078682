"""Draw labels of any script in matplotlib figures, as far as the machine has fonts for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec, cast

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from fer_edge.errors import ConfigError
from fer_edge.runtime.drawing.fonts import find_font
from fer_edge.text import printable
from fer_edge.train.evaluation.metrics import Report

DEFAULT_FAMILY = "DejaVu Sans"
"""Part of matplotlib's package: Latin, Greek, Cyrillic and more."""
P = ParamSpec("P")


class LabelFonts(NamedTuple):
    """How to draw a set of labels.

    Attributes:
        families: font names for matplotlib's `font.family`.
        labels: the labels, with "?" for each character that no font has. Such a label is preceded
            by its number, so that it stays distinct.
        hints: for each label that lost a character, which one and which package has it.
    """

    families: tuple[str, ...]
    labels: tuple[str, ...]
    hints: tuple[str, ...]


def with_label_fonts(
    draw: Callable[Concatenate[Report, P], Figure],
) -> Callable[Concatenate[Report, P], Figure]:
    """Decorate a function that plots a report: choose fonts that have its labels' characters."""

    @wraps(draw)
    def wrapped(report: Report, *args: P.args, **kwargs: P.kwargs) -> Figure:
        fonts = choose_fonts(report.labels)
        with matplotlib.rc_context({"font.family": list(fonts.families)}):
            shown = replace(report, labels=fonts.labels, model=printable(report.model))
            return draw(shown, *args, **kwargs)

    return cast(Callable[Concatenate[Report, P], Figure], wrapped)


def choose_fonts(labels: Sequence[str]) -> LabelFonts:
    """Choose fonts for the labels: matplotlib's own, then those that the system has."""
    own = FT2Font(font_manager.findfont(DEFAULT_FAMILY))
    families, drawable, hints = [DEFAULT_FAMILY], [], []
    for i, label in enumerate(map(printable, labels)):
        if missing := {one for one in label if not own.get_char_index(ord(one))}:
            try:
                path = str(find_font(label, 12).path)
            except ConfigError as error:
                replaced = "".join("?" if one in missing else one for one in label)
                drawable.append(f"{i}: {replaced}")
                hints.append(str(error))
                continue
            font_manager.fontManager.addfont(path)
            families.append(font_manager.FontProperties(fname=path).get_name())
        drawable.append(label)
    return LabelFonts(tuple(dict.fromkeys(families)), tuple(drawable), tuple(hints))
