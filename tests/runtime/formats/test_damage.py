"""Damaged and hostile model files: each is one line that names the file, without an engine."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fer_edge.errors import DamagedSpecError, FerEdgeError, ModelError
from fer_edge.runtime.formats.model_files import MAX_BYTES
from fer_edge.runtime.formats.ncnn_files import format_document
from fer_edge.runtime.formats.onnx_reader import read_graph
from fer_edge.runtime.formats.spec_reader import read_spec
from fer_edge.spec import KEY, ModelSpec, NcnnOptions

Write = Callable[[Path, ModelSpec], Path]


def field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    head, rest = value & 0x7F, value >> 7
    return bytes([head | 0x80]) + varint(rest) if rest else bytes([head])


OPSET = field(8, b"\x10\x11")  # version 17 of the default domain


def onnx_bytes(text: bytes, key: bytes = KEY.encode()) -> bytes:
    return OPSET + field(14, field(1, key) + field(2, text))


def ir_bytes(text: str) -> bytes:
    value = text.replace("&", "&amp;").replace('"', "&quot;")
    return f'<net><rt_info><{KEY} value="{value}"/></rt_info></net>'.encode()


def safetensors_bytes(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def ncnn_bytes(spec: ModelSpec) -> bytes:
    return format_document(replace(spec, ncnn=NcnnOptions()), {".param": "", ".bin": ""}).encode()


def write(path: Path, spec: ModelSpec) -> Path:
    """A file of the path's kind that holds a spec, as far as `read_spec` reads it."""
    text = spec.to_json()
    match path.suffix.lower():
        case ".onnx":
            path.write_bytes(onnx_bytes(text.encode()))
        case ".xml":
            path.write_bytes(ir_bytes(text))
        case ".param":
            path.write_bytes(b"graph")
            suffix = ".JSON" if path.suffix.isupper() else ".json"
            path.with_suffix(suffix).write_bytes(ncnn_bytes(spec))
        case _:
            path.write_bytes(safetensors_bytes({"__metadata__": {KEY: text}}))
    return path


NAMES = ("m.onnx", "m.xml", "m.ncnn.param", "m.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_the_suffix_may_have_capitals(name: str, spec: ModelSpec, tmp_path: Path) -> None:
    for one in (name, name.upper()):
        assert read_spec(write(tmp_path / one, spec)).labels == spec.labels


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull fetches it"),
        (b"\x00", "damaged|isn't beside it|not a safetensors"),
        (b"\xff" * 100, "damaged|isn't beside it|not a safetensors"),
    ],
)
def test_what_is_no_model(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FerEdgeError, match=message) as caught:
        read_spec(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(ModelError, match="there is no such file"):
        read_spec(path)
    with pytest.raises(ModelError, match=r"can't be read|no such file"):
        read_spec(tmp_path / f"a\0{name}")
    with pytest.raises(ModelError, match=r"can't be read|no such file"):
        read_spec(tmp_path / ("x" * 300 + name))
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)  # holes take no room
    with pytest.raises(ModelError, match="no model of fer-edge is so large"):
        read_spec(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ModelError, match="a folder, not a model file"):
        read_spec(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (onnx_bytes(b'{"schema": 1, "name": "\xff"}'), "byte 24 isn't UTF-8"),
        (onnx_bytes(b"{}", key=b"\xff"), "damaged or cut off"),
        (onnx_bytes(b"{}") + onnx_bytes(b"{}"), "damaged or cut off"),
        (OPSET, "no 'fer_edge' spec inside"),
        (onnx_bytes(b"{}")[len(OPSET) :], "damaged or cut off"),  # no operator set
        (onnx_bytes(b"{}")[:-1], "damaged or cut off"),
        (OPSET + b"\x72" + varint(2**63) + b"x", "damaged or cut off"),  # a length beyond memory
        (OPSET + b"\x72" + b"\xff" * 11, "damaged or cut off"),  # an endless integer
        (OPSET + b"\x73\x74", "damaged or cut off"),  # a group, which proto3 lacks
        (OPSET + b"\x70\x01", "damaged or cut off"),  # metadata that is a number
        (OPSET + field(14, b"\x08\x01"), "damaged or cut off"),  # a key that is a number
        (field(8, b"\x12\x01\x11"), "damaged or cut off"),  # a version that is bytes
    ],
    ids=itertools.count(),
)
def test_a_damaged_onnx_file(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(FerEdgeError, match=rf"m\.onnx: .*{message}"):
        read_spec(path)


@pytest.mark.parametrize(
    "tensor",
    [
        b"\x08\x01\x10\x01\x42\x01w\x48\x05",  # data that is a number
        b"\x08" + varint(2**64 - 1) + b"\x10\x01\x42\x01w" + field(9, bytes(4)),  # a negative side
        b"\x08\x02\x10\x01\x42\x01w" + field(9, bytes(4)),  # fewer numbers than its shape
        b"\x10\x01\x42\x01\xff" + field(9, bytes(4)),  # a name that isn't UTF-8
        b"\x10\x01",  # no name
    ],
    ids=itertools.count(),
)
def test_a_damaged_tensor(tensor: bytes, tmp_path: Path) -> None:
    path = tmp_path / "d.onnx"
    graph = field(5, tensor) + field(1, b"") + field(11, b"\x0a\x01x") + field(12, b"\x0a\x01y")
    path.write_bytes(OPSET + field(7, graph))
    with pytest.raises(ModelError, match=r"d\.onnx: damaged"):
        read_graph(path)


BOMB = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "x" * 10}">' for i in range(10))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<net><rt_info></rt_info></net>", "no 'fer_edge' spec inside"),
        (b"<net><rt_info/>", "damaged or cut off"),
        (b"<net>\xff</net>", "damaged or cut off"),
        (b'<?xml version="1.0" encoding="no-such"?><net/>', "damaged|no 'fer_edge'"),
        (f"<!DOCTYPE net [{BOMB}]><net>&a9;</net>".encode(), "it has a DOCTYPE"),
        (b'<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]><net>&x;</net>', "DOCTYPE"),
        (b"<a>" * 1000, "nested too deeply"),
        (b'<net name="' + b"a" * (18 << 20), "a tag of over 16 MB"),
        (b"<!--" + b"a" * (18 << 20), "a tag of over 16 MB"),
        (
            ir_bytes("{}").replace(b"</rt_info>", f'<{KEY} value="{{}}"/></rt_info>'.encode()),
            "twice",
        ),
        (ir_bytes('{"schema": 1'), "not valid JSON"),
    ],
    ids=itertools.count(),
)
def test_a_damaged_ir(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.xml"
    path.write_bytes(content)
    with pytest.raises(FerEdgeError, match=rf"m\.xml: .*{message}"):
        read_spec(path)


def test_an_ir_that_openvino_converted_itself(spec: ModelSpec, tmp_path: Path) -> None:
    path, text = tmp_path / "m.xml", ir_bytes(spec.to_json()).decode()
    inner = text.replace("<rt_info>", "<rt_info><framework>").replace("</rt", "</framework></rt")
    path.write_text(inner)
    assert read_spec(path) == spec
    # the file's own comes first
    own = text[text.index(f"<{KEY}") : text.index("</rt_info>")]
    other = inner.replace(spec.name, "other")
    path.write_text(other.replace("<rt_info>", f"<rt_info>{own}"))
    assert read_spec(path).name == spec.name


@pytest.mark.parametrize(
    "header",
    [[], {"__metadata__": [1]}, {"__metadata__": {KEY: "{"}}, {"__metadata__": {KEY: 5}}, {}],
)
def test_a_damaged_checkpoint(header: object, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors_bytes(header))
    with pytest.raises(FerEdgeError, match=r"m\.safetensors: "):
        read_spec(path)
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(ModelError, match="not a safetensors file"):
        read_spec(path)


def test_the_document_of_an_ncnn_model(spec: ModelSpec, tmp_path: Path) -> None:
    path = write(tmp_path / "m.ncnn.param", spec)
    path.with_suffix(".json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(DamagedSpecError, match=r"m\.ncnn\.json: damaged .*UTF-8"):
        read_spec(path)
