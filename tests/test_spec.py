from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.errors import DamagedSpecError, MissingSpecError, NewerSpecError, SpecError
from fer_edge.spec import KEY, SCHEMA, GoldenSample, Metrics, ModelSpec, ParitySummary


def test_json_round_trip(spec: ModelSpec) -> None:
    full = replace(
        spec,
        metrics=(Metrics("val", 10, 0.5, 0.4, 0.3, 0.1),),
        parity=ParitySummary("golden", 16, 1.0, 1e-6, None, None, True),
        golden=(GoldenSample("AAAA" * 768, (0.1,) * 7),),
    )
    assert ModelSpec.from_json(full.to_json(), "x") == full
    assert full.golden_faces().shape == (1, 48, 48)
    assert full.golden_logits().shape == (1, 7)


def test_missing_spec_names_the_file() -> None:
    with pytest.raises(MissingSpecError, match=r"model\.onnx: no 'fer_edge' spec"):
        ModelSpec.from_metadata({"other": "x"}, "model.onnx")


def test_newer_schema_says_upgrade(spec: ModelSpec) -> None:
    document = json.loads(spec.to_json())
    document["schema"] = SCHEMA + 1
    document["labels"] = {"changed": "meaning"}
    with pytest.raises(NewerSpecError, match=r"m: .* schema 2.*upgrade fer-edge"):
        ModelSpec.from_metadata({KEY: json.dumps(document)}, "m")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("labels", ["happy"], "two or more different names"),
        ("labels", ["happy", "happy"], "two or more different names"),
        ("labels", ["happy", 3], r"labels\[1\]: expected str"),
        ("temperature", 0, "temperature must be above 0"),
        ("temperature", float("nan"), "NaN isn't a number"),
        ("temperature", True, "expected float"),
        ("input", {"side": 48}, "'network_side' is missing"),
        ("input", {"side": 4, "network_side": 64, "mean": 0.5, "std": 0.2}, "side must be in"),
        ("crop", {"margin": -1}, "margin must be in"),
        ("crop", {"resize": "nearest"}, "'nearest' is none of"),
        ("golden", [{"face": "AAAA", "logits": [0.0] * 7}], "is not a face of 48 x 48 pixels"),
        ("golden", [{"face": "AAAA", "logits": [0.0] * 3}], "3 logits for 7 labels"),
        ("name", "../x", "name must be a plain name"),
        ("schema", None, "no schema number"),
        ("schema", -3, "no schema number"),
        ("labels", ["", "b"], "a label must not be empty"),
        ("temperature", 10**400, "spec.temperature: a number too large"),
        ("metrics", [{"split": "test"}], "'n' is missing"),
    ],
)
def test_damaged_values_are_named(spec: ModelSpec, key: str, value: Any, message: str) -> None:
    document = json.loads(spec.to_json())
    document[key] = value
    with pytest.raises(DamagedSpecError, match=message):
        ModelSpec.from_json(json.dumps(document), "m")


def test_cut_json_is_damaged(spec: ModelSpec) -> None:
    with pytest.raises(DamagedSpecError, match="m: the spec is not valid JSON"):
        ModelSpec.from_json(spec.to_json()[:-5], "m")


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, "", "null"])
def test_hostile_json_is_damaged(text: str) -> None:
    with pytest.raises(DamagedSpecError):
        ModelSpec.from_json(text, "m")


def test_unknown_keys_of_the_same_schema_are_ignored(spec: ModelSpec) -> None:
    document = {**json.loads(spec.to_json()), "later": 1}
    assert ModelSpec.from_json(json.dumps(document), "m") == spec


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_a_spec_error(document: Any) -> None:
    with pytest.raises(SpecError):
        ModelSpec.from_json(json.dumps(document), "m")


@given(key=st.sampled_from(sorted(ModelSpec.__dataclass_fields__)), value=JSON)
def test_any_field_is_either_valid_or_a_spec_error(key: str, value: Any) -> None:
    from fer_edge.spec import CropSpec, DataSpec, InputSpec

    spec = ModelSpec(
        "n", "a", ("x", "y"), InputSpec(48, 48, 0.5, 0.5), CropSpec(), 1.0,
        DataSpec("d", "l", {}), (), "u", {},
    )  # fmt: skip
    document = {**json.loads(spec.to_json()), key: value}
    try:
        read = ModelSpec.from_json(json.dumps(document), "m")
    except SpecError:
        return
    assert isinstance(read, ModelSpec)
