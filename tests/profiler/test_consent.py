"""Who is asked before code runs, what is kept of the answer, and how it is taken back."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import torch

from profiler import consent
from profiler.consent import ConsentNeededError, checked, is_kept, keep, kept, take_back
from profiler.errors import ModelFileError, PlanError, ProfilerError, UnsafeModelError
from profiler.model_file import identify
from profiler.types import EngineKind, EngineSpec, Factory, ModelKind, ModelSource, RunPlan
from tests import model_zoo


class Foreign(torch.nn.Module):
    """A class that is neither data nor torch.nn."""


@pytest.fixture
def foreign(tmp_path: Path) -> ModelSource:
    path = tmp_path / "foreign.pt"
    torch.save(torch.nn.Sequential(Foreign(), torch.nn.Linear(2, 2)), path)
    return identify(path)


def test_a_module_of_torch_nn_asks_nobody(tmp_path: Path) -> None:
    source = identify(model_zoo.pickled_sequential(tmp_path))
    assert checked(source, trust=False) == source
    assert not checked(source, trust=True).trusted, "there is nothing to agree to"


def test_foreign_classes_ask_with_their_names(foreign: ModelSource) -> None:
    with pytest.raises(ConsentNeededError) as caught:
        checked(foreign, trust=False)
    error = caught.value
    assert error.exit_code == 4
    assert error.names == ((Foreign.__module__, "Foreign"),)
    assert f"{Foreign.__module__}.Foreign" in error.message
    assert "--trust" in error.hint
    assert error.source == foreign
    assert checked(foreign, trust=True).trusted


def test_dangerous_names_are_marked_and_come_first(tmp_path: Path) -> None:
    path = model_zoo.hostile_module(tmp_path, tmp_path / "ran")
    with pytest.raises(ConsentNeededError) as caught:
        checked(identify(path), trust=False)
    lines = caught.value.message.splitlines()
    assert "system" in lines[1]
    assert "DANGEROUS" in lines[1]


def test_names_can_not_write_to_the_terminal(tmp_path: Path) -> None:
    data = b"\x80\x02c\x1b[2Jevil\nname\n."
    path = model_zoo.with_member(model_zoo.pickled_sequential(tmp_path), "data.pkl", data)
    with pytest.raises(ConsentNeededError) as caught:
        checked(identify(path), trust=False)
    assert "\x1b" not in caught.value.message
    assert "[2Jevil.name" in caught.value.message


def test_consent_is_kept_by_hash_and_taken_back(foreign: ModelSource) -> None:
    with pytest.raises(ConsentNeededError) as caught:
        checked(foreign, trust=False)
    keep(caught.value.entry)
    keep(caught.value.entry)
    assert [entry.sha256 for entry in kept()] == [foreign.sha256]
    assert kept()[0].given and kept()[0].names
    assert checked(foreign, trust=False).trusted
    changed = msgspec.structs.replace(foreign, sha256="0" * 64)
    with pytest.raises(ConsentNeededError):
        checked(changed, trust=False)
    take_back(foreign.sha256)
    assert not is_kept(foreign.sha256)
    with pytest.raises(ConsentNeededError):
        checked(foreign, trust=False)


def test_no_hash_is_no_consent() -> None:
    keep(consent.Trusted(sha256="", name="x", what="x"))
    assert not is_kept("")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 99, "trusted": []}'])
def test_a_damaged_file_trusts_nothing(content: bytes, foreign: ModelSource) -> None:
    keep(consent.Trusted(sha256=foreign.sha256, name="x", what="x"))
    consent._path().write_bytes(content)
    assert kept() == ()


def test_a_folder_that_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DUALSCOPE_CONFIG", str(tmp_path / "file"))
    with pytest.raises(ProfilerError) as caught:
        keep(consent.Trusted(sha256="1", name="x", what="x"))
    assert caught.value.hint


def test_a_compiled_package_asks(tmp_path: Path) -> None:
    source = identify(model_zoo.aot_package_stand_in(tmp_path))
    with pytest.raises(ConsentNeededError, match="native code"):
        checked(source, trust=False)
    assert checked(source, trust=True).trusted


def test_weights_without_a_factory_ask_for_nothing_yet(tmp_path: Path) -> None:
    source = identify(model_zoo.state_dict(tmp_path))
    assert checked(source, trust=True) == source


@pytest.mark.parametrize("trust", [False, True])
def test_no_consent_lets_dangerous_weights_pass(trust: bool, tmp_path: Path) -> None:
    source = identify(model_zoo.hostile_checkpoint(tmp_path, tmp_path / "ran"))
    with pytest.raises(UnsafeModelError) as caught:
        checked(source, Factory(target="torchvision.models:resnet18"), trust=trust)
    assert not isinstance(caught.value, ConsentNeededError)


def test_a_factory_asks_by_the_hash_of_its_file(tmp_path: Path) -> None:
    source = identify(model_zoo.state_dict(tmp_path))
    path = model_zoo.factory_file(tmp_path)
    factory = Factory(target=f"{path}:build")
    with pytest.raises(ConsentNeededError, match="factory") as caught:
        checked(source, factory, trust=False)
    keep(caught.value.entry)
    trusted = checked(source, factory, trust=False)
    assert trusted.trusted and trusted.factory is not None and trusted.factory.sha256
    # Consent is for this function of this code.
    with pytest.raises(ConsentNeededError):
        checked(source, Factory(target=f"{path}:fails"), trust=False)
    path.write_text(path.read_text() + "# changed")
    with pytest.raises(ConsentNeededError):
        checked(source, factory, trust=False)


def test_a_factory_of_a_package_asks_by_its_name(tmp_path: Path) -> None:
    source = identify(model_zoo.state_dict(tmp_path))
    with pytest.raises(ConsentNeededError) as caught:
        checked(source, Factory(target="package.module:name"), trust=False)
    keep(caught.value.entry)
    assert checked(source, Factory(target="package.module:name"), trust=False).trusted
    with pytest.raises(ConsentNeededError):
        checked(source, Factory(target="package.module:other"), trust=False)


def test_consent_to_a_factory_covers_just_its_arguments(tmp_path: Path) -> None:
    source = identify(model_zoo.state_dict(tmp_path))
    factory = Factory(target="package.module:name", arguments={"a": 1, "b": "\x1b[2J"})
    with pytest.raises(ConsentNeededError) as caught:
        checked(source, factory, trust=False)
    assert r'package.module:name with the arguments {"a": 1, "b": "\u001b[2J"}' in (
        caught.value.entry.what
    )
    keep(caught.value.entry)
    (entry,) = kept()
    assert consent.listed(entry) == r'package.module:name  {"a": 1, "b": "\u001b[2J"}'
    same = msgspec.structs.replace(factory, arguments={"b": "\x1b[2J", "a": 1})
    assert checked(source, same, trust=False).trusted
    for arguments in ({}, {"a": 1}, {"a": "1", "b": "\x1b[2J"}, {**factory.arguments, "evil": 1}):
        other = msgspec.structs.replace(factory, arguments=arguments)
        with pytest.raises(ConsentNeededError):
            checked(source, other, trust=False)


def test_a_session_can_not_bring_arguments_for_a_trusted_factory(tmp_path: Path) -> None:
    weights, target = model_zoo.state_dict(tmp_path), f"{model_zoo.factory_file(tmp_path)}:build"
    source = checked(identify(weights), Factory(target=target), trust=True)
    assert source.factory is not None
    with pytest.raises(ConsentNeededError) as caught:
        checked(source, source.factory, trust=False)
    keep(caught.value.entry)
    assert consent.asked_again(source, trust=False).trusted
    theirs = msgspec.structs.replace(source.factory, arguments={"classes": 10**9})
    with pytest.raises(ConsentNeededError, match="1000000000"):
        consent.asked_again(msgspec.structs.replace(source, factory=theirs), trust=False)


def test_a_session_can_not_say_what_kind_a_file_is(tmp_path: Path) -> None:
    """A package with native code asks; as a torch.export file it would not."""
    source = identify(model_zoo.aot_package_stand_in(tmp_path))
    told = msgspec.structs.replace(source, kind=ModelKind.TORCH_EXPORT)
    lane = EngineSpec(label="a", engine=EngineKind.TORCH_EXPORT)
    plan = RunPlan(model=told, inputs=(), engines=(lane,), baseline="a")
    for ask in (
        lambda: consent.asked_again(told, trust=False),
        lambda: consent.renewed(plan, trust=False),
    ):
        with pytest.raises(ModelFileError, match="has changed"):
            ask()


def test_a_session_can_not_lend_a_file_the_hash_of_another(foreign: ModelSource) -> None:
    keep(consent.Trusted(sha256="1" * 64, name="x", what="x"))
    told = msgspec.structs.replace(foreign, sha256="1" * 64)
    with pytest.raises(ModelFileError, match="has changed"):
        consent.asked_again(told, trust=False)


@pytest.mark.parametrize("target", ["name", ":name", "module:", "missing.py:build"])
def test_what_names_no_factory(target: str, tmp_path: Path) -> None:
    source = identify(model_zoo.state_dict(tmp_path))
    with pytest.raises(ModelFileError) as caught:
        checked(source, Factory(target=target), trust=True)
    assert caught.value.hint


def test_a_whole_model_takes_no_factory(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="whole model"):
        checked(identify(model_zoo.onnx_mlp(tmp_path)), Factory(target="a:b"), trust=True)


def test_a_plan_from_a_file_carries_no_consent(foreign: ModelSource) -> None:
    trusted = checked(foreign, trust=True)
    lane = EngineSpec(label="a", engine=EngineKind.TORCH_EAGER, model=trusted)
    plan = RunPlan(model=trusted, inputs=(), engines=(lane,), baseline="a")
    cleared = consent.without_consent(plan)
    assert not cleared.model.trusted
    assert cleared.engines[0].model is not None
    assert not cleared.engines[0].model.trusted


def test_the_file_can_be_read_by_people(foreign: ModelSource) -> None:
    keep(consent.Trusted(sha256=foreign.sha256, name=foreign.path, what="x"))
    content = json.loads(consent._path().read_text())
    assert content["trusted"][0]["name"] == foreign.path
