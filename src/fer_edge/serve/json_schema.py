"""JSON Schemas of the dataclasses whose `to_dict` clients get, made from their annotations."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fer_edge.runtime.preprocess import Box
from fer_edge.runtime.results import Face, Result

LEFT_OUT: dict[type, tuple[str, ...]] = {Result: ("image_source", "seconds")}
"""Fields that `to_dict` leaves out."""
ABSENT = (Result, Face)
"""Classes whose `to_dict` leaves out what is None."""
REFERENCE = "#/components/schemas/"
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def make_schemas(*classes: type) -> dict[str, Any]:
    """The schemas of dataclasses, and of those that they hold, by the class's name."""
    schemas: dict[str, Any] = {}
    for cls in classes:
        _add(cls, schemas)
    return schemas


def _add(cls: type, schemas: dict[str, Any]) -> None:
    if cls.__name__ in schemas:
        return
    schemas[cls.__name__] = schema = {"type": "object", "additionalProperties": False}
    texts = _describe_fields(cls)
    hints = get_type_hints(cls)
    properties, required = {}, []
    for field in dataclasses.fields(cls):
        if field.name in LEFT_OUT.get(cls, ()):
            continue
        hint, is_optional = _without_none(hints[field.name])
        is_absent = is_optional and cls in ABSENT
        found = _convert(hint, schemas)
        if is_optional and not is_absent:
            found = {"anyOf": [found, {"type": "null"}]}
        if field.name in texts:
            found = {**found, "description": texts[field.name]}
        properties[field.name] = found
        if not is_absent:
            required.append(field.name)
    summary = (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")
    schema.update(description=summary, properties=properties, required=required)


def _describe_fields(cls: type) -> dict[str, str]:
    """What a docstring's section "Attributes" says of each field."""
    section = (inspect.getdoc(cls) or "").partition("\nAttributes:\n")[2]
    section = section.partition("\n\n")[0]
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    (kept,) = (one for one in get_args(hint) if one is not type(None))
    return kept, True


def _convert(hint: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    origin, args = get_origin(hint), get_args(hint)
    if hint == Box:
        return {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}
    if origin is Literal:
        return {"type": "string", "enum": list(args)}
    if origin is tuple:
        return {"type": "array", "items": _convert(args[0], schemas)}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _convert(args[1], schemas)}
    if dataclasses.is_dataclass(hint):
        _add(hint, schemas)  # type: ignore[arg-type]
        return {"$ref": REFERENCE + hint.__name__}  # type: ignore[union-attr]
    return {"type": _TYPES[hint]}
