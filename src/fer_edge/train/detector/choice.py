"""Which photograph a part of a training piece shows, and which of its faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fer_edge.errors import DataError
from fer_edge.train.detector.config import DetectorConfig
from fer_edge.train.detector.labels import Photograph

_KIND_WEIGHTS = {"web": 0.62, "mask": 0.16, "crowd": 0.06, "flickr": 0.1, "coco": 0.06}
"""How often a part that may show people shows a photograph of each kind."""
_NATURAL_PROBABILITY = 0.3
"""How often a photograph of faces keeps about its own scale, beside those of `_SMALL_PROBABILITY`:
a small face then looks as cameras and JPEG leave it."""
_SMALL_PROBABILITY, _SMALL_RATIO = 0.15, 1.8
"""How often a part that may show people shows a face of `min_face` to `_SMALL_RATIO` times
`min_face` at about its own scale. Such faces are rare in photographs, and hard to find."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What a part shows.

    Attributes:
        photograph: of which it is a part.
        faces: int `[N]`, numbers of the faces of which one is to be seen; empty where none is
            certain.
        is_natural: whether a photograph of such faces keeps about its own scale.
    """

    photograph: Photograph
    faces: npt.NDArray[np.intp]
    is_natural: bool


class Chooser:
    """Chooses photographs by kind.

    Args:
        photographs: of one split.
        config: settings of the run.

    Attributes:
        empty: the photographs without any face, not even an unsure one.

    Raises:
        DataError: no photograph shows people.
    """

    def __init__(self, photographs: Sequence[Photograph], config: DetectorConfig) -> None:
        self._config = config
        self._people: dict[str, list[Photograph]] = {}
        backgrounds: dict[str, list[Photograph]] = {}
        for one in photographs:
            kinds = backgrounds if one.kind.is_background else self._people
            kinds.setdefault(one.kind_name, []).append(one)
        if not self._people:
            raise DataError(f"no photograph of people: {', '.join(_KIND_WEIGHTS)}")
        self._backgrounds = list(backgrounds.values())
        self.empty = [one for kind in self._backgrounds for one in kind if one.is_empty]
        self._small = {
            kind: [one for one in chosen if len(self._find_small(one))]
            for kind, chosen in self._people.items()
        }
        weights = np.array([_KIND_WEIGHTS[kind] for kind in self._people])
        self._weights = weights / weights.sum()

    def choose(self, random: np.random.Generator) -> Choice:
        """Choose what a part shows."""
        is_natural = random.random() < _NATURAL_PROBABILITY
        if self._backgrounds and random.random() < self._config.background:
            chosen = self._backgrounds[random.integers(len(self._backgrounds))]
        else:
            kinds = list(self._people)
            kind = kinds[random.choice(len(kinds), p=self._weights)]
            chosen, small = self._people[kind], self._small[kind]
            if small and random.random() < _SMALL_PROBABILITY:
                one = small[random.integers(len(small))]
                return Choice(one, self._find_small(one), is_natural=True)
        one = chosen[random.integers(len(chosen))]
        return Choice(one, np.flatnonzero(one.is_certain), is_natural)

    def choose_empty(self, random: np.random.Generator) -> Photograph:
        """Choose one of `empty`."""
        return self.empty[random.integers(len(self.empty))]

    def _find_small(self, photograph: Photograph) -> npt.NDArray[np.intp]:
        """Numbers of a photograph's certain faces that are small at its own scale."""
        side = photograph.boxes[:, 2:4].min(1, initial=np.inf) / self._config.min_face
        return np.flatnonzero(photograph.is_certain & (side >= 1) & (side < _SMALL_RATIO))
