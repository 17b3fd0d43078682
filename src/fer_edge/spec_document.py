"""How a spec is written and read: one JSON document under one key, for a model of any task."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from fer_edge.documents import parse_json
from fer_edge.errors import DamagedSpecError, MissingSpecError, NewerSpecError, SpecError
from fer_edge.schema import parse

KEY = "fer_edge"
SCHEMA = 1
TASKS = {None: "a model of expressions", "face-detection": "a face detector"}
"""What a model is, by the key `task` of its spec; a model of expressions has no such key."""


class OtherTaskError(SpecError):
    """The spec is of a model with another task."""


class SpecDocument:
    """Base of the dataclasses that a model file carries as its spec.

    Attributes:
        TASK: a key of `TASKS`.
    """

    TASK: ClassVar[str | None] = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        own: Any = self  # a dataclass, as every subclass is
        return dataclasses.asdict(own)

    def to_json(self) -> str:
        """The spec as one line of JSON."""
        return json.dumps(
            self.to_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Self:
        """Read a spec; `where` names the file in error messages.

        Raises:
            DamagedSpecError: the text is not JSON, or a value is invalid.
            NewerSpecError: its schema is later than the latest that this package reads.
            OtherTaskError: it is of a model with another task.
        """
        try:
            document = parse_json(text)
        except ValueError as error:
            raise DamagedSpecError(
                f"{where}: the spec is not valid JSON ({error}): export the model again"
            ) from None
        return cls.from_document(document, where)

    @classmethod
    def from_document(cls, document: object, where: str) -> Self:
        """Read a spec from plain JSON values; unknown keys are ignored.

        Raises:
            DamagedSpecError, NewerSpecError, OtherTaskError: as `from_json`.
        """
        schema = document.get("schema") if isinstance(document, dict) else None
        if not isinstance(schema, int) or schema < 1:
            raise DamagedSpecError(
                f"{where}: the spec has no schema number: export the model again"
            )
        if schema > SCHEMA:
            raise NewerSpecError(
                f"{where}: its spec has schema {schema}, this version of fer-edge reads up to "
                f"{SCHEMA}: upgrade fer-edge"
            )
        assert isinstance(document, dict)
        task = document.get("task")
        if task != cls.TASK and (task is None or isinstance(task, str)) and task in TASKS:
            raise OtherTaskError(f"{where}: {TASKS[task]}, not {TASKS[cls.TASK]}")
        try:
            return parse(cls, document, "spec", unknown="ignore")
        except ValueError as error:
            raise DamagedSpecError(f"{where}: {error}: export the model again") from None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str | bytes], where: str) -> Self:
        """Read the spec from a model file's string metadata.

        Raises:
            MissingSpecError: there is no key `fer_edge`.
            DamagedSpecError, NewerSpecError, OtherTaskError: as `from_json`.
        """
        if KEY not in metadata:
            raise MissingSpecError(
                f"{where}: no {KEY!r} spec inside, so its labels and input are unknown: "
                "use a file written by `fer train` or `fer export`"
            )
        return cls.from_json(metadata[KEY], where)
