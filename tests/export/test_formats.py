from __future__ import annotations

import pytest

from fer_edge.export.formats import FORMATS
from fer_edge.runtime.backends import ENGINES
from tests.support.requirements import needs_ncnn


@pytest.mark.parametrize("format", FORMATS)
def test_an_engine_reads_what_is_written(format: str) -> None:
    suffix = FORMATS[format].suffix
    assert any(suffix.endswith(engine.suffixes) for engine in ENGINES.values())


@pytest.mark.parametrize("format", FORMATS)
def test_a_format_without_int8_says_why(format: str) -> None:
    kind = FORMATS[format]
    assert kind.precisions[:2] == ("fp32", "fp16")
    assert ("int8" in kind.precisions) == (kind.no_int8 is None)


@pytest.mark.parametrize("format", FORMATS)
def test_the_converter_is_found(format: str) -> None:
    needs_ncnn(format)
    assert callable(FORMATS[format].load_converter())
