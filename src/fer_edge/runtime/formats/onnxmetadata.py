"""An `.onnx` file's metadata, read without an engine: one that crashes here can still be named."""

from __future__ import annotations

from pathlib import Path

from fer_edge.runtime.formats.onnx_reader import fields

METADATA_PROPS = 14  # field of a ModelProto
KEY, VALUE = 1, 2  # fields of a StringStringEntryProto


def metadata(path: Path) -> dict[str, str]:
    """The `metadata_props` of that file; none when it is damaged.

    Raises:
        OSError: it can't be read.
    """
    found = {}
    for number, value in fields(memoryview(path.read_bytes())):
        if number == METADATA_PROPS and isinstance(value, memoryview):
            entry = dict(fields(value))
            key, text = entry.get(KEY), entry.get(VALUE)
            if isinstance(key, memoryview) and isinstance(text, memoryview):
                found[str(key, "utf-8", "replace")] = str(text, "utf-8", "replace")
    return found
