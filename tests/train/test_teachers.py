from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.teachers import make_teacher, mean_logits
from tests.support.data import draw_face
from tests.support.networks import make_network
from tests.support.specs import make_spec

SPEC = make_spec()
FACES = torch.from_numpy(np.stack([draw_face(i, i) for i in range(7)]))
PIXELS = FACES.unsqueeze(1).float()


def test_a_folded_teacher_predicts_like_its_network() -> None:
    network = make_network("mobilenet_v3_small", SPEC.input)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    teacher = make_teacher(Checkpoint(network, SPEC), "", mirror=False)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in teacher.model.modules())
    with torch.no_grad():
        torch.testing.assert_close(teacher.predict(PIXELS), network(FACES), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_mirrored_teacher_predicts_the_same_for_mirror_images() -> None:
    source = Checkpoint(make_network("tiny", SPEC.input), SPEC)
    plain, mirrored = (make_teacher(source, "", mirror=mirror) for mirror in (False, True))
    assert torch.allclose(mirrored.predict(PIXELS), mirrored.predict(PIXELS.flip(-1)), atol=1e-5)
    assert not torch.allclose(plain.predict(PIXELS), plain.predict(PIXELS.flip(-1)), atol=1e-5)
    both = mean_logits((plain, mirrored), PIXELS)
    assert torch.allclose(both, (plain.predict(PIXELS) + mirrored.predict(PIXELS)) / 2, atol=1e-6)
