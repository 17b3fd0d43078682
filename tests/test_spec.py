from __future__ import annotations

import itertools
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


def test_a_spec_without_a_version_has_none(spec: ModelSpec) -> None:
    document = spec.to_dict()
    del document["version"]
    read = ModelSpec.from_document(document, "x")
    assert (read.version, read.title) == ("", spec.name)
    assert replace(spec, name="base", version="2").title == "base 2"


def test_missing_spec_names_the_file() -> None:
    with pytest.raises(MissingSpecError, match=r"model\.onnx: no 'fer_edge' spec"):
        ModelSpec.from_metadata({"other": "x"}, "model.onnx")


def test_newer_schema_says_upgrade(spec: ModelSpec) -> None:
    document = json.loads(spec.to_json())
    document["schema"] = SCHEMA + 1
    document["labels"] = {"changed": "meaning"}
    with pytest.raises(NewerSpecError, match=r"m: .* schema 2.*upgrade fer-edge"):
        ModelSpec.from_metadata({KEY: json.dumps(document)}, "m")


METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "ece")
PARITY = {
    **{"faces": "golden", "n": 1, "agreement": 1, "max_abs_logit_diff": 0, "passed": True},
    **{"accuracy_reference": None, "accuracy_exported": None},
}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("labels", ["happy"], "two or more different names"),
        ("labels", ["happy", "happy"], "two or more different names"),
        ("labels", ["happy", 3], r"labels\[1\]: expected str"),
        ("temperature", 0, r"temperature must be in \[0.001, 1000\]"),
        ("temperature", float("nan"), "NaN isn't a number"),
        ("temperature", True, "expected float"),
        ("input", {"side": 48}, "'network_side' is missing"),
        ("input", {"side": 4, "network_side": 64, "mean": 0.5, "std": 0.2}, "side must be in"),
        ("crop", {"margin": -1}, "margin must be in"),
        ("crop", {"resize": "nearest"}, "'nearest' is none of"),
        ("golden", [{"face": "AAAA", "logits": [0.0] * 7}], "is not a face of 48 x 48 pixels"),
        ("golden", [{"face": "AAAA", "logits": [0.0] * 3}], "3 logits for 7 labels"),
        ("version", 2, "expected str"),
        ("version", "2" * 10**4, "version is over 5,000"),
        ("name", "../x", "name must be a plain name"),
        ("schema", None, "no schema number"),
        ("schema", -3, "no schema number"),
        ("labels", ["", "b"], "a label must not be empty"),
        ("temperature", 10**400, "spec.temperature: a number too large"),
        ("metrics", [{"split": "test"}], "'n' is missing"),
        ("temperature", 1e-38, r"temperature must be in \[0.001, 1000\]"),
        ("temperature", 1e38, r"temperature must be in \[0.001, 1000\]"),
        ("temperature", "1.5", "expected float, found '1.5'"),
        ("input", {"side": 10**9, "network_side": 48, "mean": 0.5, "std": 0.2}, "side must be in"),
        ("input", {"side": 48, "network_side": 48, "mean": 0.5, "std": 1e-30}, "std .* out of ra"),
        ("labels", [str(i) for i in range(10**5)], "100,000 labels are too many"),
        ("labels", ["a" * 10**6, "b"], "is over 255 characters long"),
        ("labels", ["\ud800", "b"], "half a character"),
        ("labels", ["a\0", "b"], "NUL"),
        ("architecture", "a" * 10**6, "architecture is over 5,000 characters long"),
        ("intended_use", "a" * 10**6, "intended_use is over 5,000 characters long"),
        ("tools", {str(i): "1" for i in range(1000)}, "tools has 1,000 entries: at most 256"),
        ("tools", {"a\ud800": "1"}, "half a character"),
        ("tools", {"a": "1" * 10**6}, "tools.a is over 5,000 characters long"),
        ("data", {"name": "d", "licence": "l", "faces": {"train": -1}}, "faces must be 0 or more"),
        (
            "data",
            {"name": "d", "licence": "l", "faces": {}, "unlabelled": {"web": -1}},
            "unlabelled must be 0 or more",
        ),
        ("data", {"name": "d" * 10**6, "licence": "l", "faces": {}}, "name is over 5,000"),
        ("golden", [{"face": "AAAA" * 768, "logits": [1e300] * 7}], "isn't a finite float32"),
        ("golden", [{"face": "é" * 3072, "logits": [0.0] * 7}], "is not a face of 48 x 48 pixels"),
        ("golden", [{"face": "AAAA" * 768, "logits": [0] * 7}] * 257, "257 entries: at most 256"),
        ("quantization", {"temperature": 1e-30}, "temperature must be in"),
        ("quantization", {"int8": {"float_layers": ["x" * 10**5]}}, "is over 5,000 characters"),
        (
            "metrics",
            [{**dict.fromkeys(METRICS, 0.5), "split": "t", "n": -1}],
            "n must be 0 or more",
        ),
        ("metrics", [{**dict.fromkeys(METRICS, 2.0), "split": "t", "n": 1}], "accuracy must be in"),
        ("metrics", [{**dict.fromkeys(METRICS, 1), "split": "t", "n": 10**400}], "too large"),
        ("parity", {**PARITY, "agreement": 1.5}, "agreement must be in"),
        ("parity", {**PARITY, "max_abs_logit_diff": -1}, "max_abs_logit_diff must be 0 or more"),
    ],
    ids=itertools.count(),
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
