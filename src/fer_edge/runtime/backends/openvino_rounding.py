"""Keep OpenVINO from fusing an int8 model's residual sums, which would round them differently."""

from __future__ import annotations

import openvino
from openvino import opset1


def round_terms(model: openvino.Model) -> int:
    """Keep OpenVINO from adding a tensor to a convolution's output before it rounds that output.

    On a CPU, OpenVINO fuses a residual sum into the convolution and rounds once. Where the output
    lies halfway between two quantization levels, round(a) + b and round(a + b) differ, and the
    difference grows from layer to layer. A 1x1 max pool changes no value and prevents the fusion;
    it costs a copy of the tensor.

    Args:
        model: as OpenVINO reads an `.onnx` file or its own IR; it is changed in place. A second
            call changes nothing.

    Returns:
        The number of terms: dequantized tensors that only a sum uses.
    """
    terms = [
        (place, place.get_source_output())
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Add"
        for place in node.inputs()
        if _is_term(place.get_source_output())
    ]
    for place, term in terms:
        ones, zeros = [1, 1], [0, 0]
        pool = opset1.max_pool(term, ones, zeros, zeros, ones)
        place.replace_source_output(pool.output(0))
    return len(terms)


def _is_term(output: openvino.Output) -> bool:
    node = output.get_node()
    if node.get_type_name() != "Multiply" or len(output.get_target_inputs()) != 1:
        return False
    source = node.input_value(0).get_node()
    if source.get_type_name() == "Subtract":  # of the zero point, where it isn't 0
        source = source.input_value(0).get_node()
    return source.get_type_name() == "Convert" and len(output.get_partial_shape()) == 4
