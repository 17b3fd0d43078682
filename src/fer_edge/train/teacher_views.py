"""What teachers predict on fixed views of the faces, computed once and kept in files.

A view is one augmentation of every face. The student sees the same view as its teachers (Beyer et
al., arXiv:2106.05237), and a long training pays for them once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fer_edge.atomic import whole_file
from fer_edge.errors import DataError
from fer_edge.train.augment import augment, draw_view
from fer_edge.train.config import Augmentation
from fer_edge.train.progress import ProgressCallback, ignore_progress
from fer_edge.train.teachers import Teacher

_BATCH_SIZE = 256


@dataclass(frozen=True)
class View:
    """One view of all faces, in their order.

    Attributes:
        draws: the augmentation's random numbers, float32 `[N, DRAWS]`.
        logits: the teachers' mean logits, float32 `[N, labels]`.
    """

    draws: Tensor
    logits: Tensor


class TeacherViews:
    """The views of a run's faces.

    Args:
        teachers: one or more.
        faces: uint8 `[N, S, S]`.
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
        faces: Tensor,
        folder: Path,
        ranges: Augmentation,
        count: int,
        seed: int,
        on_progress: ProgressCallback = ignore_progress,
    ) -> None:
        self.teachers = teachers
        self.faces = faces
        self.folder = folder
        self.ranges = ranges
        self.count = count
        self.seed = seed
        self.on_progress = on_progress
        self.digest = hashlib.sha256(faces.numpy().tobytes()).hexdigest()

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
        draws = draw_view(number, self.seed, len(self.faces))
        logits = [self._get_logits(teacher, number, ranges, draws) for teacher in self.teachers]
        return View(draws, torch.stack(logits).mean(0))

    def _get_logits(
        self, teacher: Teacher, number: int, ranges: Augmentation, draws: Tensor
    ) -> Tensor:
        known = [teacher.sha256, teacher.mirror, self.digest, asdict(ranges), self.seed, number]
        name = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
        path = self.folder / f"{name}.npy"
        if not path.exists():
            logits = self._predict(teacher, ranges, draws, f"teachers, view {number + 1}")
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as beside, beside.open("wb") as stream:
                np.save(stream, logits.numpy(), allow_pickle=False)
            return logits
        try:
            read = torch.from_numpy(np.load(path, allow_pickle=False))
        except (ValueError, EOFError) as error:
            raise DataError(f"{path}: damaged ({error}): remove it") from None
        if read.dtype != torch.float32 or read.ndim != 2 or len(read) != len(self.faces):
            raise DataError(f"{path}: not the logits of {len(self.faces):,} faces: remove it")
        return read

    def _predict(self, teacher: Teacher, ranges: Augmentation, draws: Tensor, stage: str) -> Tensor:
        logits = []
        parts = (torch.split(whole, _BATCH_SIZE) for whole in (self.faces, draws))
        batches = list(zip(*parts, strict=True))
        for i, (faces, own) in enumerate(batches):
            logits.append(teacher.predict(augment(faces, ranges, own)))
            self.on_progress(stage, i + 1, len(batches))
        return torch.cat(logits)
