"""What teachers predict on fixed views of the faces, computed once and kept in files.

A view is one augmentation of every face. The student sees the same view as its teachers (Beyer et
al., arXiv:2106.05237), and a long training pays for them once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fer_edge.atomic import whole_file
from fer_edge.errors import DataError
from fer_edge.train.augment import VIEWS_VERSION, augment, draw_view
from fer_edge.train.progress import ProgressCallback, ignore_progress
from fer_edge.train.ranges import Augmentation
from fer_edge.train.teachers import Teacher

_BATCH_SIZE = 256


@dataclass(frozen=True)
class View:
    """One view of all faces: the parts one after the other, each in its order.

    Attributes:
        draws: the augmentation's random numbers, float32 `[N, DRAWS]`.
        logits: the teachers' mean logits, float32 `[N, labels]`.
    """

    draws: Tensor
    logits: Tensor


class Views(Protocol):
    """Views of a run's faces, wherever their logits come from."""

    def get(self, epoch: int, *, is_mild: bool) -> View:
        """Return an epoch's view; a mild one has half of the ranges. Epochs count from 0."""


@dataclass(frozen=True)
class _Part:
    """Faces uint8 `[N, S, S]`, and the place of the first among all faces."""

    faces: Tensor
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.faces)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.faces.numpy().tobytes()).hexdigest()


class TeacherViews:
    """The views of a run's faces.

    Args:
        teachers: one or more.
        parts: of the faces, uint8 `[N, S, S]` each, one or more. Each has files of its own, so
            runs that begin with the same part share its files.
        folder: of the files, one for each teacher and view; made if missing. Their names are
            digests of all that the logits depend on, so runs can share the folder.
        ranges: of the augmentation.
        count: number of views.
        seed: of the views.
        on_progress: called after each batch.
    """

    def __init__(
        self,
        teachers: tuple[Teacher, ...],
        parts: Sequence[Tensor],
        folder: Path,
        ranges: Augmentation,
        count: int,
        seed: int,
        on_progress: ProgressCallback = ignore_progress,
    ) -> None:
        self.teachers = teachers
        starts = [0, *accumulate(len(part) for part in parts)]
        self.parts = [_Part(*one) for one in zip(parts, starts[:-1], strict=True)]
        self.folder = folder
        self.ranges = ranges
        self.count = count
        self.seed = seed
        self.on_progress = on_progress

    def get(self, epoch: int, *, is_mild: bool) -> View:
        """Read an epoch's view, whose missing logits are computed and saved first.

        Args:
            epoch: from 0; epochs take the views in turn.
            is_mild: take a view with half of the ranges.

        Raises:
            DataError: a file is damaged.
        """
        number, ranges = epoch % self.count, self.ranges
        if is_mild:  # views of their own
            number, ranges = number + self.count, ranges.halve()
        draws = draw_view(number, self.seed, self.parts[-1].end)
        logits = []
        for part in self.parts:
            own = draws[part.start : part.end]
            each = [self._get_logits(one, number, ranges, part, own) for one in self.teachers]
            logits.append(torch.stack(each).mean(0))
        return View(draws, torch.cat(logits))

    def _get_logits(
        self, teacher: Teacher, number: int, ranges: Augmentation, part: _Part, draws: Tensor
    ) -> Tensor:
        faces = part.faces
        known = [teacher.sha256, teacher.mirror, part.digest, asdict(ranges), self.seed, number]
        known += [part.start] if part.start else []
        if VIEWS_VERSION != 1:  # files of the first version name none
            known += [f"version {VIEWS_VERSION}"]
        name = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
        path = self.folder / f"{name}.npy"
        if not path.exists():
            stage = f"teachers, view {number + 1}"
            logits = self._predict(teacher, ranges, faces, draws, stage)
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as beside, beside.open("wb") as stream:
                np.save(stream, logits.numpy(), allow_pickle=False)
            return logits
        try:
            read = torch.from_numpy(np.load(path, allow_pickle=False))
        except (ValueError, EOFError) as error:
            raise DataError(f"{path}: damaged ({error}): remove it") from None
        if read.dtype != torch.float32 or read.ndim != 2 or len(read) != len(faces):
            raise DataError(f"{path}: not the logits of {len(faces):,} faces: remove it")
        return read

    def _predict(
        self, teacher: Teacher, ranges: Augmentation, faces: Tensor, draws: Tensor, stage: str
    ) -> Tensor:
        logits = []
        split = (torch.split(whole, _BATCH_SIZE) for whole in (faces, draws))
        batches = list(zip(*split, strict=True))
        for i, (some, own) in enumerate(batches):
            logits.append(teacher.predict(augment(some, ranges, own)))
            self.on_progress(stage, i + 1, len(batches))
        return torch.cat(logits)
