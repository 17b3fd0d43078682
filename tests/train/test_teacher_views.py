from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fer_edge.errors import DataError
from fer_edge.spec import InputSpec
from fer_edge.train.augment import augment, draw_view
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.progress import ProgressCallback
from fer_edge.train.ranges import Augmentation
from fer_edge.train.teacher_views import TeacherViews, View
from fer_edge.train.teachers import Teacher, make_teacher, mean_logits
from tests.support.data import draw_face
from tests.support.networks import make_network
from tests.support.specs import make_spec

RANGES = Augmentation()
FACES = torch.stack([torch.from_numpy(draw_face(i % 7, i)) for i in range(300)])


@pytest.fixture(scope="module")
def teachers() -> tuple[Teacher, ...]:
    model = make_network("tiny", InputSpec(side=48, network_side=32, mean=0.5, std=0.25))
    source = Checkpoint(model, make_spec("tiny"))
    return (make_teacher(source, "a", mirror=True), make_teacher(source, "b", mirror=False))


def test_a_view_holds_what_the_teachers_predict_on_it(
    teachers: tuple[Teacher, ...], tmp_path: Path
) -> None:
    view = TeacherViews(teachers, [FACES], tmp_path, RANGES, 4, seed=1).get(3, is_mild=False)
    seen = augment(FACES, RANGES, view.draws)
    assert torch.allclose(view.logits, mean_logits(teachers, seen), atol=1e-4)
    part = torch.tensor([7, 290, 3])
    assert torch.allclose(augment(FACES[part], RANGES, view.draws[part]), seen[part], atol=1e-2)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_is_read_where_all_is_equal_and_not_otherwise(
    teachers: tuple[Teacher, ...], tmp_path: Path
) -> None:
    steps: list[str] = []
    first = teachers[:1]

    def make_views(
        of: tuple[Teacher, ...], faces: torch.Tensor, seed: int, follow: ProgressCallback
    ) -> TeacherViews:
        return TeacherViews(of, [faces], tmp_path, RANGES, 2, seed, follow)

    def views(faces: torch.Tensor = FACES, seed: int = 1, of: tuple[Teacher, ...] = first) -> int:
        steps.clear()
        make_views(of, faces, seed, lambda stage, *_: steps.append(stage)).get(2, is_mild=False)
        return len(steps)

    assert views() == 2
    assert views() == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fer_edge.train.teacher_views.VIEWS_VERSION", 2)
        assert views() == 2
    assert views(of=teachers) == 2
    assert views(seed=2) == 2
    assert views(faces=FACES.flip(-1)) == 2
    own = make_views(first, FACES, 1, lambda stage, *_: steps.append(stage))
    steps.clear()
    own.get(0, is_mild=True)
    own.get(1, is_mild=False)
    assert steps == 2 * ["teachers, view 3"] + 2 * ["teachers, view 2"]


@pytest.mark.parametrize("content", [b"", b"x", "short"])
def test_a_damaged_file_is_named(
    teachers: tuple[Teacher, ...], tmp_path: Path, content: bytes | str
) -> None:
    views = TeacherViews(teachers[:1], [FACES], tmp_path, RANGES, 1, seed=1)
    views.get(0, is_mild=False)
    (path,) = tmp_path.iterdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, np.zeros((5, 7), np.float32))
    with pytest.raises(DataError, match=f"{path.name}.*remove it"):
        views.get(0, is_mild=False)


def test_faces_that_join_leave_the_others_views_as_they_are(
    teachers: tuple[Teacher, ...], tmp_path: Path
) -> None:
    steps: list[int] = []

    def get(*parts: torch.Tensor) -> View:
        steps.clear()
        note = lambda _, __, total: steps.append(total)  # noqa: E731
        return TeacherViews(teachers[:1], parts, tmp_path, RANGES, 3, 1, note).get(2, is_mild=False)

    others = FACES[:20].flip(-1)
    alone, joined = get(FACES), get(FACES, others)
    assert steps == [1]
    assert torch.equal(joined.logits[:300], alone.logits)
    assert torch.equal(joined.draws[:300], alone.draws)
    assert torch.equal(joined.draws, draw_view(2, 1, 320))
    seen = augment(others, RANGES, joined.draws[300:])
    assert torch.allclose(joined.logits[300:], mean_logits(teachers[:1], seen), atol=1e-4)
