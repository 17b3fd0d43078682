from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fer_edge.errors import ConfigError
from fer_edge.export.thresholds import DEFAULT_GATE, DEFAULT_THRESHOLDS, Gate, Thresholds, read_gate


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gate.toml"


def test_keys_left_out_keep_their_default(file: Path) -> None:
    file.write_text("[int8]\nagreement = 0.95\n[int8-qat]\naccuracy_loss = 1\n[fp16]\n")
    assert read_gate(file) == {
        **DEFAULT_THRESHOLDS,
        "int8": Thresholds(0.95, 1, accuracy_loss=0.005, recall_loss=0.03, max_chance_losses=5),
        "int8-qat": Thresholds(0.98, 1, accuracy_loss=1.0, recall_loss=0.03),
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[int4]", r"unknown table 'int4'; the tables are fp32, fp16, int8, int8-qat"),
        ("agreement = 0.9", r"unknown table 'agreement'"),
        ("[int8]\nagrement = 0.9", r"int8: unknown key 'agrement'; the keys are accuracy_loss, "),
        ("[int8]\nagreement = '0.9'", r"int8\.agreement: expected float, found '0\.9'"),
        ("[int8]\nagreement = true", r"int8\.agreement: expected float, found True"),
        ("[int8-qat]\nagreement = 95", r"int8-qat: agreement must be in \[0, 1\], not 95"),
        ("[fp32]\nmax_abs_logit_diff = nan", r"fp32.max_abs_logit_diff: nan isn't a finite number"),
        ("int8 = 3", r"int8: expected an object, found int"),
        ("[int8", r"not a TOML file"),
    ],
)
def test_a_wrong_file_is_named_with_its_table_and_key(
    file: Path, text: str, complaint: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"gate\.toml: {complaint}"):
        read_gate(file)


def test_a_file_that_cannot_be_read(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"gate\.toml: No such file"):
        read_gate(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"gate\.toml: not a TOML file"):
        read_gate(file)


def test_changes_lie_on_top_of_tables(file: Path) -> None:
    file.write_text("[int8]\nagreement = 0.95\naccuracy_loss = 0.01\n")
    gate = Gate(read_gate(file), {"agreement": 0.9})
    assert gate.thresholds("int8") == Thresholds(0.9, 1, accuracy_loss=0.01, recall_loss=0.03)
    assert gate.thresholds("fp32") == replace(DEFAULT_THRESHOLDS["fp32"], agreement=0.9)
    with pytest.raises(ValueError, match="recall_loss must be in"):
        Gate(changes={"recall_loss": 3})


def test_the_state_is_that_of_the_kind_at_hand() -> None:
    assert DEFAULT_GATE.state("int8") == "default"
    gate = Gate({"int8": Thresholds(0.95)})
    assert (gate.state("int8"), gate.state("fp32")) == ("changed", "default")
    assert Gate(changes={"agreement": 1.0}).state("fp32") == "default"
    assert Gate(enforced=False).state("fp32") == "off"
