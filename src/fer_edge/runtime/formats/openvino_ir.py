"""Read the metadata of an OpenVINO IR, an `.xml` file, without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, NoReturn
from xml.parsers import expat

from fer_edge.errors import ModelError

RT_INFO = ("net", "rt_info")
FRAMEWORK = (*RT_INFO, "framework")
"""Where OpenVINO keeps the metadata of an ONNX file that it converted."""
_MAX_DEPTH = 100
_PIECE = 1 << 20
"""Bytes that are parsed at a time."""
_MAX_ELEMENT = 16 * _PIECE
"""Bytes of a tag: a spec is the longest. The parser reads an unfinished tag again with each piece,
so that a long one would take hours."""


def read_metadata(path: Path) -> dict[str, str]:
    """The attributes `value` under the model's `rt_info`.

    Raises:
        ModelError: the file is damaged, or defines entities, which no IR does.
    """
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    # entities of entities can stand for gigabytes
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        with path.open("rb") as stream:
            _parse(parser, stream)
    except (expat.ExpatError, ValueError) as error:
        raise ModelError(f"{path}: damaged or cut off ({error}): copy it again") from None
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    return reader.found[FRAMEWORK] | reader.found[RT_INFO]


def _parse(parser: expat.XMLParserType, stream: BinaryIO) -> None:
    while piece := stream.read(_PIECE):
        parser.Parse(piece)
        if stream.tell() - parser.CurrentByteIndex > _MAX_ELEMENT:
            raise ValueError(f"a tag of over {_MAX_ELEMENT >> 20} MB")
    parser.Parse(b"", True)


class _Reader:
    def __init__(self) -> None:
        self.place: list[str] = []
        self.found: dict[tuple[str, ...], dict[str, str]] = {RT_INFO: {}, FRAMEWORK: {}}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        found = self.found.get(tuple(self.place))
        if found is not None and "value" in attributes:
            if name in found:
                raise ValueError(f"{name} is there twice")
            found[name] = attributes["value"]
        if len(self.place) >= _MAX_DEPTH:
            raise ValueError("nested too deeply")
        self.place.append(name)

    def end(self, _: str) -> None:
        self.place.pop()


def _refuse_doctype(*_: object) -> NoReturn:
    raise ValueError("it has a DOCTYPE")
