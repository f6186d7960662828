"""State dicts, checkpoints and safetensors fitted to what a factory builds."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers

from profiler import factory_guesses, jobs
from profiler.consent import FactoryNeededError, checked
from profiler.errors import ModelFileError, UnsafeModelError
from profiler.factory_guesses import guess
from profiler.inspection import inspect
from profiler.model_file import identify
from profiler.torch_files import load_torch_model
from profiler.types import Factory, ModelSource
from profiler.weights import LeftOut, best_fit, load_tensors
from tests import model_zoo

X = torch.randn(2, 3, 16, 16)


def source_of(path: Path, name: str = "build", **arguments: Any) -> ModelSource:
    """The file with the zoo's factory, agreed to."""
    target = f"{model_zoo.factory_file(path.parent)}:{name}"
    return checked(identify(path), Factory(target=target, arguments=arguments), trust=True)


@pytest.mark.parametrize(
    "build",
    [
        model_zoo.state_dict,
        model_zoo.older_pickle,
        model_zoo.checkpoint,
        model_zoo.safetensors_file,
        model_zoo.sharded,
        model_zoo.lightning_checkpoint,
    ],
)
def test_weights_of_every_kind_give_the_outputs_of_the_saved_module(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    module = load_torch_model(source_of(build(tmp_path)))
    assert not module.training
    with torch.inference_mode():
        torch.testing.assert_close(module(X), model_zoo.network()(X))


def test_how_they_were_fitted_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    load_torch_model(source_of(model_zoo.lightning_checkpoint(tmp_path)), notes)
    text = " ".join(notes)
    assert "['state_dict']" in text
    assert "'net.'" in text and "1 tensors outside" in text
    assert "argparse.Namespace" in text


def test_a_prefix_that_the_file_lacks() -> None:
    class Wrapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model_zoo.network()

    fit = best_fit(Wrapped(), [("", dict(model_zoo.network().state_dict()))])
    assert fit.whole
    assert fit.added == "inner."


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    state = model_zoo.network().state_dict()
    state["9.weight"] = state.pop("5.bias")
    torch.save(state, path)
    with pytest.raises(ModelFileError) as caught:
        load_torch_model(source_of(path, channels=7))
    message = caught.value.message
    assert "missing: 5.bias" in message
    assert "unexpected: 9.weight" in message
    assert "0.weight is [8, 3, 3, 3], the module's [7, 3, 3, 3]" in message
    assert "and " in message and caught.value.hint


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(7, 4)
            self.head = torch.nn.Linear(4, 7, bias=False)
            self.head.weight = self.embed.weight

    from profiler.weights import fill

    path = tmp_path / "model.safetensors"
    weight = torch.randn(7, 4)
    safetensors.torch.save_file({"embed.weight": weight}, path)
    module = Tied()
    fill(module, identify(path))
    assert module.head.weight is module.embed.weight
    torch.testing.assert_close(module.head.weight.detach(), weight)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("no_module", "returned a int"),
        ("fails", "out of paint (train.py, line"),
        ("not_there", "has no 'not_there'"),
    ],
)
def test_factories_that_do_not_work(name: str, part: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        load_torch_model(source_of(model_zoo.state_dict(tmp_path), name))
    assert part in caught.value.message
    assert caught.value.hint


def test_a_factory_whose_modules_are_missing(tmp_path: Path) -> None:
    (tmp_path / "needs.py").write_text("import a_package_that_is_not_there\n")
    factory = Factory(target=f"{tmp_path / 'needs.py'}:build")
    source = checked(identify(model_zoo.state_dict(tmp_path)), factory, trust=True)
    with pytest.raises(ModelFileError, match="a_package_that_is_not_there"):
        load_torch_model(source)


def test_a_factory_does_not_run_without_consent_or_after_a_change(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "make.py"
    path.write_text(f"open({str(marker)!r}, 'w')\n")
    weights = identify(model_zoo.state_dict(tmp_path))
    trusted = checked(weights, Factory(target=f"{path}:build"), trust=True)
    for source in (
        ModelSource(
            path=weights.path,
            kind=weights.kind,
            sha256="",
            size_bytes=1,
            factory=trusted.factory,
        ),
        weights,
    ):
        with pytest.raises(ModelFileError):
            load_torch_model(source)
    path.write_text(path.read_text() + "# changed\n")
    with pytest.raises(UnsafeModelError, match="changed"):
        load_torch_model(trusted)
    assert not marker.exists()


def test_objects_of_other_classes_are_never_made(tmp_path: Path) -> None:
    """An inert object stands in, even for what would be called while it is unpickled."""
    path = model_zoo.lightning_checkpoint(tmp_path)
    mappings, notes = load_tensors(identify(path))
    assert "torch.nn.modules.loss.CrossEntropyLoss" in notes[0]
    assert {place for place, _ in mappings} == {"['state_dict']"}
    assert len(LeftOut("anything", more=1)) == 0


# --- guesses ------------------------------------------------------------------------------------


def tiny_bert(folder: Path) -> Path:
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder / "model.safetensors"


def test_a_configuration_beside_the_file_names_the_class(tmp_path: Path) -> None:
    source = identify(tiny_bert(tmp_path))
    guesses = guess(source)
    (factory,) = guesses.factories
    assert factory.target == "transformers:BertForSequenceClassification"
    module = load_torch_model(checked(source, factory, trust=True))
    expected: Any = transformers.BertForSequenceClassification.from_pretrained(tmp_path)
    expected.eval()
    tokens = torch.arange(10)[None]
    with torch.inference_mode():
        torch.testing.assert_close(module(tokens).logits, expected(tokens).logits)


def test_names_that_the_library_has_changed_since_fit(tmp_path: Path) -> None:
    """transformers 5 writes a ViT's weights by the names of version 4."""
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
    )
    torch.manual_seed(0)
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    source = identify(tmp_path / "model.safetensors")
    (factory,) = guess(source).factories
    module = load_torch_model(checked(source, factory, trust=True))
    expected: Any = transformers.ViTForImageClassification.from_pretrained(tmp_path)
    image = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(module(image).logits, expected.eval()(image).logits)


def test_a_configuration_that_does_not_fit_is_told(tmp_path: Path) -> None:
    path = tiny_bert(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
    guesses = guess(identify(path))
    assert guesses.factories == ()
    assert "does not fit" in guesses.notes[0]


@pytest.mark.parametrize("name", ["pipeline", "BertConfig", "AutoModel", "os", "Missing"])
def test_a_configuration_can_name_model_classes_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tiny_bert(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": [name]}))
    called: list[Factory] = []
    monkeypatch.setattr(factory_guesses, "build_module", called.append)
    guesses = guess(identify(path))
    assert called == [] and guesses.factories == ()
    assert f"{name} of config.json is no model class" in guesses.notes[0]


def test_weights_alone_tell_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(FactoryNeededError) as caught:
        jobs.inspect_model(model_zoo.state_dict(tmp_path))
    error = caught.value
    assert "state dict" in error.message and "0.weight" in error.message
    assert "--factory" in error.hint
    assert error.guesses.count == 9
    assert error.exit_code == 3


def test_through_a_child_with_a_guessed_factory(tmp_path: Path) -> None:
    path = tiny_bert(tmp_path)
    with pytest.raises(FactoryNeededError) as caught:
        jobs.inspect_model(path)
    (factory,) = caught.value.guesses.factories
    assert f"--factory {factory.target} --factory-arg config=" in caught.value.message


def test_an_inspection_tells_the_notes(tmp_path: Path) -> None:
    info = inspect(source_of(model_zoo.checkpoint(tmp_path)))
    assert any("['model']" in note for note in info.notes)


TIMM = """
import torch


def list_models():
    return ["tiny", "other"]


def create_model(model_name, num_classes):
    return torch.nn.Linear(3, num_classes)
"""


@pytest.fixture
def package_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules can be imported, and are forgotten after the test."""
    folder = tmp_path / "packages"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in set(sys.modules) - before:
        if name in ("timm", "torchvision"):
            del sys.modules[name]


def test_the_file_s_name_and_its_classes_are_tried(package_folder: Path, tmp_path: Path) -> None:
    (package_folder / "timm.py").write_text(TIMM)
    path = tmp_path / "my-tiny-run3.pt"
    torch.save(torch.nn.Linear(3, 7).state_dict(), path)
    (factory,) = guess(identify(path)).factories
    assert factory.target == "timm:create_model"
    assert factory.arguments == {"model_name": "tiny", "num_classes": 7}


ORDERED = """
import torch


def list_models():
    return ["tiny"]


def create_model(model_name, num_classes):
    linear = torch.nn.Linear
    head = torch.nn.Sequential(linear(4, 5), torch.nn.ReLU(), linear(5, num_classes))
    return torch.nn.ModuleDict({"classifier": head, "stem": linear(3, 4)})
"""


def test_the_classes_are_those_of_the_head_in_any_order_of_tensors(
    package_folder: Path, tmp_path: Path
) -> None:
    """As in a safetensors file, whose last vector belongs to some other layer."""
    (package_folder / "timm.py").write_text(ORDERED)
    made: Any = importlib.import_module("timm").create_model("tiny", 7)
    path = tmp_path / "tiny.run3.safetensors"
    safetensors.torch.save_file(made.state_dict(), path)
    (factory,) = guess(identify(path)).factories
    assert factory.arguments == {"model_name": "tiny", "num_classes": 7}


def test_a_configuration_names_no_place_to_load_from(
    package_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package_folder / "timm.py").write_text(TIMM.replace('["tiny", "other"]', "[]"))
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "local-dir:/theirs"}))
    called: list[Factory] = []
    monkeypatch.setattr(factory_guesses, "build_module", called.append)
    assert guess(identify(model_zoo.state_dict(tmp_path))).factories == ()
    assert called == []


def test_a_package_that_can_not_be_imported_is_told(package_folder: Path, tmp_path: Path) -> None:
    (package_folder / "timm.py").write_text("raise RuntimeError('operator nms does not exist')")
    guesses = guess(identify(model_zoo.state_dict(tmp_path)))
    assert guesses.factories == ()
    assert any("timm can't be imported" in note and "nms" in note for note in guesses.notes)
