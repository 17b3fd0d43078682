from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from fer_edge.errors import ConfigError, ModelError
from fer_edge.spec import InputSpec
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.networks.classifier import (
    build_classifier,
    get_head,
    is_head_parameter,
    load_pretrained,
)

SPEC = InputSpec(side=48, network_side=32, mean=0.4, std=0.2)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_fulfils_the_contract(name: str) -> None:
    model = build_classifier(name, 5, SPEC).eval()
    faces = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8)
    logits = model(faces)
    assert logits.shape == (3, 5)
    assert logits.dtype == torch.float32
    heads = [n for n, _ in model.named_parameters() if is_head_parameter(n, name)]
    assert heads
    assert not any("features" in n for n in heads)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_gray_stem_computes_the_same(name: str, tmp_path: Path) -> None:
    """A gray image in three equal channels through the RGB network, and through the gray one."""
    torch.manual_seed(0)
    entry = ARCHITECTURES[name]
    colour = entry.build(num_classes=7).eval()
    torch.save(colour.state_dict(), tmp_path / "w.pth")
    gray = build_classifier(name, 7, SPEC).eval()
    load_pretrained(gray, name, str(tmp_path / "w.pth"))
    head, old = get_head(gray, name), colour.get_submodule(entry.head)
    assert isinstance(old, nn.Linear)
    head.load_state_dict(old.state_dict())
    faces = torch.randint(0, 256, (4, 48, 48), dtype=torch.uint8)
    small = nn.functional.interpolate(faces.unsqueeze(1).float(), (32, 32), mode="bilinear")
    expected = colour(((small / 255 - 0.4) / 0.2).repeat(1, 3, 1, 1))
    assert torch.allclose(gray(faces), expected, atol=1e-4, rtol=1e-4)


def test_unknown_architecture() -> None:
    with pytest.raises(ConfigError, match="unknown architecture 'alexnet': choose from mob"):
        build_classifier("alexnet", 7, SPEC)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    model = build_classifier("mobilenet_v2", 7, SPEC)
    path = tmp_path / "w.pth"
    torch.save(ARCHITECTURES["resnet18"].build().state_dict(), path)
    with pytest.raises(ModelError, match=r"w\.pth: .* is missing: .*not weights of mobilenet_v2"):
        load_pretrained(model, "mobilenet_v2", str(path))
    torch.save(ARCHITECTURES["mobilenet_v2"].build(width_mult=0.5).state_dict(), path)
    with pytest.raises(ModelError, match="mobilenet_v2 needs"):
        load_pretrained(model, "mobilenet_v2", str(path))
    path.write_bytes(b"not a pickle")
    with pytest.raises(ModelError, match="not a PyTorch state dict"):
        load_pretrained(model, "mobilenet_v2", str(path))
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="expected names of tensors"):
        load_pretrained(model, "mobilenet_v2", str(path))
    with pytest.raises(ModelError, match=r"none\.pth: there is no such file"):
        load_pretrained(model, "mobilenet_v2", str(tmp_path / "none.pth"))


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    model, path = build_classifier("tiny", 7, SPEC), tmp_path / "w.pth"
    state = dict(ARCHITECTURES["tiny"].build().state_dict())
    stem = f"{ARCHITECTURES['tiny'].stem}.weight"
    nan = torch.full_like(state[stem], float("nan"))
    for content, message in (
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ({**state, stem: torch.zeros(3)}, "tiny needs"),
        ({**state, stem: nan}, "holds NaN"),
        ({**state, stem: state[stem].to_sparse()}, "w.pth: "),
        ({**state, 3: torch.zeros(3)}, "expected names of tensors"),
    ):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(ModelError, match=message) as caught:
            load_pretrained(model, "tiny", str(path))
        assert "\n" not in str(caught.value)


def test_code_in_a_weights_file_is_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    torch.save({"x": Evil()}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="not a PyTorch state dict"):
        load_pretrained(build_classifier("resnet18", 7, SPEC), "resnet18", str(tmp_path / "w.pth"))
    assert not (tmp_path / "ran").exists()


def test_a_features_file_leaves_the_classifier_untrained(tmp_path: Path) -> None:
    whole = ARCHITECTURES["mobilenet_v3_small"].build().state_dict()
    features = {k: v for k, v in whole.items() if not k.startswith("classifier.3")}
    torch.save(features, tmp_path / "w.pth")
    model = build_classifier("mobilenet_v3_small", 7, SPEC)
    load_pretrained(model, "mobilenet_v3_small", str(tmp_path / "w.pth"))
    own = model.network.state_dict()
    assert torch.equal(own["classifier.0.weight"], whole["classifier.0.weight"])
    assert own["classifier.3.weight"].shape == (7, 1024)
