from __future__ import annotations

from collections import Counter

import numpy as np
import openvino

from fer_edge.runtime.backends.openvino_rounding import round_terms
from fer_edge.runtime.formats.model_files import bundled


def kinds(model: openvino.Model) -> Counter[str]:
    return Counter(node.get_type_name() for node in model.get_ops())


def test_each_term_of_an_int8_model_is_rounded_once() -> None:
    model = openvino.Core().read_model(bundled("model"))
    before = kinds(model)
    assert round_terms(model) == 10  # MobileNetV2's blocks with a way round them
    assert kinds(model) - before == Counter(MaxPool=10)
    assert round_terms(model) == 0


def test_a_float_model_stays_as_it_is() -> None:
    ops = openvino.opset1
    image = ops.parameter([-1, 2, 4, 4], np.float32)
    scaled = ops.multiply(image, np.float32(2))
    model = openvino.Model([ops.add(ops.relu(image), scaled)], [image], "float")
    assert round_terms(model) == 0
    assert kinds(model)["Add"] == 1
