"""The logits of teachers on fixed views of the faces, in one small file that replaces them.

A face's logits in a view are kept as their distance to the largest, in sixteenths of a unit: a byte
each. So others can distil from teachers whose checkpoints they don't have.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from fer_edge.atomic import write_bytes
from fer_edge.documents import parse_json
from fer_edge.errors import ConfigError, DataError
from fer_edge.runtime.formats.model_files import check_file
from fer_edge.schema import parse
from fer_edge.spec import DataSpec
from fer_edge.train.augment import VIEWS_VERSION, draw_view
from fer_edge.train.config import TrainConfig
from fer_edge.train.data.dataset import FaceData
from fer_edge.train.data.unlabelled import UnlabelledFaces, join_faces
from fer_edge.train.progress import ProgressCallback
from fer_edge.train.ranges import Augmentation
from fer_edge.train.teacher_views import TeacherViews, View
from fer_edge.train.teachers import load_teachers

_KEY = "fer_edge_teacher_logits"
_STEPS = 16
_LOWEST = 255


@dataclass(frozen=True)
class Header:
    """How the logits came about.

    Attributes:
        labels: of the teachers, in the order of the logits.
        seed: of the views.
        augmentation: ranges of the views.
        teachers: what each teacher was trained on.
        views_version: `VIEWS_VERSION` of the views.
    """

    labels: tuple[str, ...]
    seed: int
    augmentation: Augmentation
    teachers: tuple[DataSpec, ...]
    views_version: int = 1


@dataclass(frozen=True)
class TeacherLogits:
    """The logits of teachers.

    Attributes:
        header: how they came about.
        faces: digest of each face, int64 `[N]`.
        levels: how far a logit is below the face's largest, in 1/16, uint8 `[views, N, labels]`.
    """

    header: Header
    faces: Tensor
    levels: Tensor

    @classmethod
    def collect(
        cls, header: Header, faces: Tensor, views: int, get: Callable[[int], Tensor]
    ) -> TeacherLogits:
        """Ask for the logits of each view.

        Args:
            header: how they come about.
            faces: uint8 `[N, S, S]`.
            views: number of views.
            get: returns the mean logits float32 `[N, labels]` of a view by its number.
        """
        levels = [_quantize(get(number)) for number in range(views)]
        return cls(header, _digest(faces), torch.stack(levels))

    def save(self, path: Path) -> None:
        """Write a `.safetensors` file."""
        tensors = {"faces": self.faces, "levels": self.levels}
        metadata = {_KEY: json.dumps(asdict(self.header))}
        write_bytes(path, serialize(tensors, metadata=metadata))

    @classmethod
    def load(cls, path: Path) -> TeacherLogits:
        """Read what `save` wrote.

        Raises:
            ModelError: there is no such file, or it is empty.
            DataError: it is damaged or of another kind.
        """
        try:
            check_file(path)
            with safe_open(path, framework="pt") as file:
                text = (file.metadata() or {}).get(_KEY)
                if text is None:
                    raise DataError(f"{path}: holds no logits of teachers")
                header = parse(Header, parse_json(text.encode()), path.name, unknown="reject")
                faces, levels = file.get_tensor("faces"), file.get_tensor("levels")
        except (SafetensorError, ValueError) as error:
            raise DataError(f"{path}: damaged ({error}): copy it again") from None
        is_right = faces.dtype == torch.int64 and faces.ndim == 1
        is_right &= levels.dtype == torch.uint8 and levels.ndim == 3 and bool(len(levels))
        if not is_right or levels.shape[1:] != (len(faces), len(header.labels)):
            raise DataError(f"{path}: damaged (its tensors don't belong together): copy it again")
        return cls(header, faces, levels)

    def find(self, faces: Tensor) -> Tensor:
        """Return the places of faces uint8 `[N, S, S]`, int64 `[N]`; -1: it has no logits."""
        places = {digest: i for i, digest in enumerate(self.faces.tolist())}
        found = [places.get(digest, -1) for digest in _digest(faces).tolist()]
        return torch.tensor(found, dtype=torch.int64)


class StoredViews:
    """The views of a run's faces, from a file.

    Args:
        logits: of at least one view.
        faces: uint8 `[N, S, S]`, in any order.

    Raises:
        DataError: some faces have no logits.
    """

    def __init__(self, source: TeacherLogits, faces: Tensor) -> None:
        self.places = source.find(faces)
        if missing := int((self.places < 0).sum()):
            raise DataError(
                f"the teachers' logits lack {missing:,} of {len(faces):,} faces: they are of "
                "other data"
            )
        self.source = source
        self.mean = -source.levels.float().mean(0)[self.places] / _STEPS

    def get(self, epoch: int, *, is_mild: bool) -> View:
        """Look up an epoch's view.

        Args:
            epoch: from 0; epochs take the views in turn.
            is_mild: draw a view of which the teachers saw none like it: the mean logits over all
                views are taken.
        """
        header, levels = self.source.header, self.source.levels
        if is_mild:
            draws = draw_view(len(levels) + epoch, header.seed, len(self.places))
            return View(draws, self.mean)
        number = epoch % len(levels)
        draws = draw_view(number, header.seed, levels.shape[1])
        return View(draws[self.places], -levels[number][self.places].float() / _STEPS)


def collect_logits(
    config: TrainConfig,
    data: FaceData,
    folder: Path,
    on_progress: ProgressCallback,
    unlabelled: UnlabelledFaces | None = None,
) -> TeacherLogits:
    """Ask the teachers of a run's settings for their logits on its views of the training faces.

    Args:
        config: names the teachers, their number of views, the augmentation and the seed.
        data: has the teachers' labels.
        folder: of the views that are ready, so that an interrupted run goes on.
        on_progress: called after each batch.
        unlabelled: further faces, if there are any.

    Raises:
        ConfigError, ModelError, SpecError: as `load_teachers`.
        DataError: a file in `folder` is damaged.
    """
    teachers = load_teachers(config, data)
    parts = [torch.from_numpy(part) for part in join_faces(data, unlabelled)]
    ranges, count = config.augmentation, config.views
    views = TeacherViews(teachers, parts, folder, ranges, count, config.seed, on_progress)
    known = tuple(one.data for one in teachers)
    header = Header(data.labels, config.seed, config.augmentation, known, VIEWS_VERSION)
    return TeacherLogits.collect(
        header, torch.cat(parts), count, lambda number: views.get(number, is_mild=False).logits
    )


def load_logits(
    config: TrainConfig, data: FaceData, unlabelled: UnlabelledFaces | None = None
) -> tuple[StoredViews, UnlabelledFaces | None]:
    """Read the logits that `config.teacher_logits` names, for the training faces.

    Faces without labels that the file lacks are left out, and a warning counts them: cut out of the
    same photographs on another processor, a face can differ in a pixel.

    Returns:
        The views of the faces, those without labels last, and the latter that have logits.

    Raises:
        DataError, ModelError: the file can't be read, or is of other labels or faces.
        ConfigError: its views were made with another augmentation.
    """
    source = TeacherLogits.load(Path(config.teacher_logits))
    header = source.header
    if header.labels != data.labels:
        raise DataError(
            f"{config.teacher_logits}: of the labels {', '.join(header.labels)}, not the data's"
        )
    if header.augmentation != config.augmentation:
        wanted = ", ".join(f"{k} = {v}" for k, v in asdict(header.augmentation).items())
        raise ConfigError(
            f"{config.teacher_logits}: needs [augmentation] in the recipe with {wanted}"
        )
    if header.views_version != VIEWS_VERSION:
        raise DataError(
            f"{config.teacher_logits}: its views are of version {header.views_version}, not "
            f"{VIEWS_VERSION}: write it again with fer data logits"
        )
    if unlabelled:
        is_known = (source.find(torch.from_numpy(unlabelled.pixels)) >= 0).numpy()
        reason = f"{config.teacher_logits} has no logits of them"
        unlabelled = unlabelled.leave_out(~is_known, reason)
    faces = [torch.from_numpy(part) for part in join_faces(data, unlabelled)]
    try:
        return StoredViews(source, torch.cat(faces)), unlabelled
    except DataError as error:
        raise DataError(f"{config.teacher_logits}: {error}") from None


def _quantize(logits: Tensor) -> Tensor:
    below = logits.amax(1, keepdim=True) - logits
    return (below * _STEPS).round().clamp(0, _LOWEST).to(torch.uint8)


def _digest(faces: Tensor) -> Tensor:
    """The first eight bytes of each face's SHA-256, int64 `[N]`."""
    digests = [hashlib.sha256(face.tobytes()).digest()[:8] for face in faces.numpy()]
    return torch.from_numpy(np.frombuffer(b"".join(digests), np.int64).copy())
