"""Colours of annotated images and charts."""

from __future__ import annotations

from fer_edge.runtime.results import Face

PALETTE = ("#e4572e", "#76b041", "#8a5fbf", "#f2b134", "#4a7fb5", "#e86fa4", "#8d99a6", "#2a9d8f")
"""Of labels, in the spec's order."""
BACKGROUND, TEXT, EMPTY, UNCERTAIN_COLOUR = "#16191d", "#f4f4f4", "#2c3138", "#c9ced4"
ON_COLOUR = "#101214"
"""Text on a colour of the palette."""


def colour_of(face: Face) -> str:
    """The colour of the label that is shown for a face; of one too small to rely on, gray."""
    if face.small:
        return UNCERTAIN_COLOUR
    labels, shown = list(face.probabilities), (face.track or face).emotion
    return PALETTE[labels.index(shown) % len(PALETTE)] if shown in labels else UNCERTAIN_COLOUR
