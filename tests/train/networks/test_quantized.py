from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_edge.errors import DataError, ModelError
from fer_edge.spec import Int8Recipe, Quantization
from fer_edge.train.calibrate import calibrate, calibration_faces, with_twin
from fer_edge.train.data.dataset import FaceData, Faces
from fer_edge.train.networks import checkpoint as checkpoints
from fer_edge.train.networks import quantized
from fer_edge.train.networks.architectures import ARCHITECTURES
from fer_edge.train.networks.checkpoint import Checkpoint
from fer_edge.train.networks.classifier import build_classifier
from fer_edge.train.networks.fake_quant import Grid
from tests.support.data import LABELS, draw_face
from tests.support.networks import make_network
from tests.support.specs import make_spec

FACES = np.stack([draw_face(label, 500 + i) for label in range(7) for i in range(10)])


def twin_checkpoint(architecture: str, **recipe: object) -> Checkpoint:
    spec = make_spec(architecture)
    model = make_network(architecture, spec.input)
    chosen = Int8Recipe(
        **{  # type: ignore[arg-type]
            "float_layers": quantized.default_float_layers(model, architecture),
            "ranges": "mse",
            **recipe,
        }
    )
    twin = quantized.twin_of(model, architecture, chosen)
    calibrate(twin, FACES, chosen)
    spec = replace(spec, quantization=Quantization("fp32", int8=chosen))
    return Checkpoint(model, spec, twin.eval())


@pytest.fixture(scope="module", params=["mobilenet_v2", "mobilenet_v3_small", "resnet18"])
def made(request: pytest.FixtureRequest) -> Checkpoint:
    return twin_checkpoint(request.param)


def test_a_twin_without_rounding_is_the_float_network(made: Checkpoint) -> None:
    architecture = made.spec.architecture
    recipe = made.spec.quantization.int8
    assert recipe is not None
    # an int8 stem pads with an even pixel, a float one with the mean
    recipe = replace(recipe, float_layers=(*recipe.float_layers, ARCHITECTURES[architecture].stem))
    twin = quantized.twin_of(made.model, architecture, recipe)
    for grid in quantized.grids(twin).values():
        grid.rounds = False
    got, want = Checkpoint(twin, made.spec).predict(FACES), made.predict(FACES)
    assert np.abs(got - want).max() < 1e-4


def test_a_twin_answers_nearly_as_the_float_network(made: Checkpoint) -> None:
    got, want = made.int8().predict(FACES), made.predict(FACES)
    assert np.abs(got - want).mean() > 1e-4
    assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.6


def test_steps_make_every_engine_round_alike(made: Checkpoint) -> None:
    assert made.twin is not None
    for grid in quantized.grids(made.twin).values():
        step = float(grid.scale)
        assert math.frexp(step)[0] == 0.5
        assert int(grid.zero_point) % 2 == 0
        assert 0 <= int(grid.zero_point) <= 255
    chains = quantized.chains(made.twin)
    assert sum(map(len, chains)) == len({grid for chain in chains for grid in chain})
    for chain in chains:
        assert len({float(grid.scale) for grid in chain}) == 1
    for layer in quantized.rounded(made.twin).values():
        codes = layer.codes()[0]
        assert codes.abs().max() <= layer.most
        assert layer.most == (127 if getattr(layer.layer, "groups", 1) > 1 else 63)


@pytest.mark.parametrize("ranges", ["mse", "answer"])
def test_float32_has_the_bits_of_an_answer_and_its_zero_point(ranges: str) -> None:
    spec = make_spec("mobilenet_v2")
    model = make_network("mobilenet_v2", spec.input)
    small, large = (model.network.features[i].conv[3] for i in (2, 3))
    with torch.no_grad():  # a channel whose weights ask for less, one whose bias asks for more
        small.weight[0] *= 1e-5
        large.weight[0] *= 1e-5
        large.bias[0] = 20
    recipe = Int8Recipe(ranges, quantized.default_float_layers(model, "mobilenet_v2"))
    twin = quantized.twin_of(model, "mobilenet_v2", recipe)
    calibrate(twin, FACES, recipe)
    found = list(quantized.outputs(twin))
    assert len(found) == len(quantized.rounded(twin))
    for layer, grid in found:
        _, bias = layer.codes()
        assert bias.abs().max() <= 2**18 * 1.07  # the least scale is rounded to 5 bits
        if grid.zero_point:
            in_steps = layer.scale * layer.grid.scale / grid.scale
            assert (in_steps * 2**16 % 1 == 0).all()


def test_residual_sums_are_on_chains() -> None:
    made = twin_checkpoint("mobilenet_v2")
    assert made.twin is not None
    # 10 additions: those of blocks of one stage hang together
    assert [len(chain) for chain in quantized.chains(made.twin)] == [3, 5, 7, 5, 5]


def test_no_activation_is_left_before_a_grid_from_zero(made: Checkpoint) -> None:
    assert made.twin is not None
    kinds = [type(part).__name__ for part in made.twin.network.modules()]
    called = {
        str(node.target)
        for node in made.twin.network.graph.nodes  # type: ignore[union-attr]
        if node.op == "call_module"
    }
    left = [n for n in called if isinstance(made.twin.network.get_submodule(n), torch.nn.ReLU6)]
    assert "Grid" in kinds
    assert not left


def test_a_checkpoint_brings_its_twin_back(made: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "twin.safetensors"
    checkpoints.save(made, path)
    loaded = checkpoints.load(path)
    assert np.array_equal(loaded.int8().predict(FACES), made.int8().predict(FACES))
    assert np.array_equal(loaded.predict(FACES), made.predict(FACES))


def test_a_checkpoint_without_twin_says_so(made: Checkpoint) -> None:
    with pytest.raises(ModelError, match="holds no int8 twin: fer train --qat"):
        Checkpoint(made.model, made.spec).int8()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("features.0.0.bias"), "features.0.0.bias is missing"),
        (lambda t: t.update(odd=torch.ones(1)), "odd is unknown"),
        (lambda t: t.update({"grid_1.scale": torch.ones(2)}), r"grid_1.scale is \[2\]"),
        (
            lambda t: t.update({"features.0.0.weight": torch.ones(1, dtype=torch.int8)}),
            "features.0.0 has weights",
        ),
    ],
)
def test_a_damaged_twin_is_named(change: object, says: str) -> None:
    made = twin_checkpoint("mobilenet_v3_small")
    recipe = made.spec.quantization.int8
    assert made.twin is not None
    assert recipe is not None
    tensors = quantized.state(made.twin)
    change(tensors)  # type: ignore[operator]
    twin = quantized.twin_of(made.model, made.spec.architecture, recipe)
    with pytest.raises(ValueError, match=says):
        quantized.load_state(twin, tensors)


def test_training_moves_weights_through_the_rounding() -> None:
    made = twin_checkpoint("mobilenet_v3_small")
    assert made.twin is not None
    made.twin.train()
    made.twin(torch.from_numpy(FACES)).square().sum().backward()
    layers = quantized.rounded(made.twin)
    moved = [name for name, layer in layers.items() if layer.layer.weight.grad is not None]
    assert moved == list(layers)
    assert all(layer.layer.weight.grad.abs().sum() > 0 for layer in layers.values())  # type: ignore[union-attr]


def test_training_brings_the_twin_closer_to_its_teacher() -> None:
    made = twin_checkpoint("mobilenet_v2")
    assert made.twin is not None
    faces, wanted = torch.from_numpy(FACES), torch.from_numpy(made.predict(FACES))
    made.twin.train()
    layers = quantized.rounded(made.twin).values()
    in_codes = [one for layer in layers for one in layer.layer.parameters()]
    optimizer = torch.optim.Adam(in_codes, lr=1e-2)
    far = []
    for _ in range(24):
        loss = torch.nn.functional.mse_loss(made.twin(faces), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        far.append(loss.item())
    assert max(far[-3:]) < 0.8 * far[0]


def data(counts: tuple[int, ...]) -> FaceData:
    labels = np.repeat(np.arange(len(counts)), counts)
    faces = np.zeros((len(labels), 48, 48), np.uint8)
    train = Faces(faces, labels.astype(np.int64), np.arange(len(labels)))
    return FaceData("made", "none", Path("made.csv"), LABELS[: len(counts)], {"train": train})


def test_calibration_takes_as_many_of_each_label() -> None:
    few = data((100, 80, 20))
    pixels, words = calibration_faces(few, per_label=30, seed=3)
    assert len(pixels) == 80
    assert words == "80 faces of made train, up to 30 a label, seed 3"


@pytest.mark.parametrize(
    ("counts", "says"),
    [((30, 0, 30), "no face of 'disgust' in train"), ((20, 9, 20), "49 faces in train")],
)
def test_too_little_to_calibrate_with(counts: tuple[int, ...], says: str) -> None:
    with pytest.raises(DataError, match=says):
        calibration_faces(data(counts))


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (LABELS[3:5], r"made\.csv: no face of 'angry' in train to calibrate int8 with"),
        (("bored", "happy"), r"made\.csv: fer-.* doesn't know the label 'bored', only angry"),
    ],
)
def test_calibration_takes_the_labels_of_the_network(labels: tuple[str, ...], says: str) -> None:
    """Not those of the data: a folder of two classes would set ranges for seven."""
    spec = make_spec("mobilenet_v3_small")
    source = Checkpoint(build_classifier(spec.architecture, len(LABELS), spec.input), spec)
    with pytest.raises(DataError, match=says):
        with_twin(source, replace(data((40, 40)), labels=labels), Int8Recipe(), "rounded")


def test_a_channel_without_weights_keeps_its_bias() -> None:
    spec = make_spec("mobilenet_v2")
    model = make_network("mobilenet_v2", spec.input)
    norm = model.network.features[1].conv[0][1]
    with torch.no_grad():
        norm.weight[3], norm.bias[3] = 0.0, 0.5
    recipe = Int8Recipe("mse", quantized.default_float_layers(model, "mobilenet_v2"))
    twin = quantized.twin_of(model, "mobilenet_v2", recipe)
    calibrate(twin, FACES, recipe)
    layer = quantized.rounded(twin)["features.1.conv.0.0"]
    weight, bias = layer.codes()
    assert not weight[3].any()
    assert float(bias[3] * layer.grid.scale * layer.scale[3]) == pytest.approx(0.5, rel=1e-4)


def test_a_chain_covers_all_that_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_edge.train.calibrate.drop_activations", lambda _: None)
    made = twin_checkpoint("mobilenet_v2", ranges="minmax")
    assert made.twin is not None
    seen: dict[Grid, tuple[float, float]] = {}

    def note(grid: object, inputs: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        assert isinstance(grid, Grid)
        seen[grid] = (inputs[0].min().item(), inputs[0].max().item())

    chained = [grid for chain in quantized.chains(made.twin) for grid in chain]
    for grid in quantized.grids(made.twin).values():
        grid.rounds = False
    for grid in chained:
        grid.register_forward_hook(note)
    made.twin(torch.from_numpy(FACES))
    for grid in chained:
        low, high = seen[grid]
        step, zero = float(grid.scale), int(grid.zero_point)
        assert low >= -step * zero - 1e-5
        assert high <= step * (255 - zero) + 1e-5


@pytest.mark.parametrize("ranges", ["minmax", "percentile", "mse", "answer"])
def test_ranges_cover_what_was_seen(ranges: str) -> None:
    made = twin_checkpoint("mobilenet_v2", ranges=ranges)
    assert made.twin is not None
    got, want = made.int8().predict(FACES), made.predict(FACES)
    assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.6
