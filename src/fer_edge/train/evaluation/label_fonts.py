"""Labels of any script in matplotlib's pictures, as far as the machine has fonts for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Concatenate, ParamSpec, cast

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from fer_edge.errors import ConfigError
from fer_edge.runtime.drawing.fonts import find_font
from fer_edge.train.evaluation.metrics import Report

OWN = "DejaVu Sans"
"""In matplotlib's package: Latin, Greek, Cyrillic and more."""
P = ParamSpec("P")


def lettered(
    draw: Callable[Concatenate[Report, P], Figure],
) -> Callable[Concatenate[Report, P], Figure]:
    """Have a picture of a report drawn in fonts that have its labels' characters."""

    @wraps(draw)
    def drawn(report: Report, *rest: P.args, **named: P.kwargs) -> Figure:
        families, labels = lettering(report.labels)
        with matplotlib.rc_context({"font.family": list(families)}):
            return draw(replace(report, labels=labels), *rest, **named)

    return cast(Callable[Concatenate[Report, P], Figure], drawn)


def lettering(labels: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of fonts for matplotlib, and the labels with "?" for what none of them has.

    A label that lost a character gets its number, so that none looks like another.
    """
    own = FT2Font(font_manager.findfont(OWN))
    families, drawable = [OWN], []
    for i, label in enumerate(labels):
        if lacking := {one for one in label if not own.get_char_index(ord(one))}:
            try:
                path = str(find_font(label, 12).path)
            except ConfigError:
                kept = "".join("?" if one in lacking else one for one in label)
                drawable.append(f"{i}: {kept}")
                continue
            font_manager.fontManager.addfont(path)
            families.append(font_manager.FontProperties(fname=path).get_name())
        drawable.append(label)
    return tuple(dict.fromkeys(families)), tuple(drawable)
