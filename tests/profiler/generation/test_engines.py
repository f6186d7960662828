"""Every lane runs the same tokens, and gets the same logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from profiler.errors import EngineError, ModelFileError
from profiler.generation.base import Generator, forced_tokens
from profiler.generation.engines import create_generator
from profiler.inspection import inspect
from profiler.model_file import identify
from profiler.outputs import load_outputs
from profiler.types import EngineKind, EngineSpec, GenerationPlan, Load
from tests import language_models
from tests.language_models import ModelFile

PLAN = GenerationPlan(prompt_tokens=7, new_tokens=6, vocabulary=language_models.VOCABULARY)
ORT, EAGER, COMPILE = EngineKind.ORT, EngineKind.TORCH_EAGER, EngineKind.TORCH_COMPILE
Logits = NDArray[np.float32]


def generator(path: Path, engine: EngineKind, work: Path, **options: Any) -> Generator:
    """Of a file or a folder, loaded."""
    made = create_generator(
        Load(
            spec=EngineSpec(label="lane", engine=engine, options=options),
            model=identify(path),
            inputs=(),
            work_dir=str(work),
            generation=PLAN,
            seed=3,
        )
    )
    made.load()
    return made


def logits(path: Path, engine: EngineKind, work: Path, **options: Any) -> Logits:
    """Of each new token, [new_tokens, vocabulary], after two timed generations."""
    made = generator(path, engine, work, **options)
    try:
        done = made.generate(2)
        assert [len(steps) for steps in done.steps_ns] == [PLAN.new_tokens] * 2
        assert min(min(steps) for steps in done.steps_ns) > 0
        assert 0 < done.cache_used_bytes <= done.cache_bytes
        made.save_outputs(work / "logits.npz")
        assert made.weights_bytes() > 50_000
    finally:
        made.close()
    (found,) = load_outputs(work / "logits.npz")
    assert found.shape == (PLAN.new_tokens, PLAN.vocabulary)
    return np.asarray(found, np.float32)


def uncached_logits(name: str) -> Logits:
    """The truth: the whole sequence at once, without any cache."""
    import torch

    prompt, following = forced_tokens(PLAN, 3)
    tokens = torch.from_numpy(np.concatenate([prompt, following], axis=1))
    with torch.no_grad():
        found = language_models.MODELS[name]()(input_ids=tokens, use_cache=False).logits
    return np.asarray(found[0, PLAN.prompt_tokens - 1 :].numpy(), np.float32)


@pytest.mark.parametrize("name", language_models.MODELS)
def test_lanes_of_a_folder(name: str, tmp_path: Path) -> None:
    folder, truth = language_models.folder(tmp_path, name), uncached_logits(name)
    for options in ({}, {"cache": "static"}, {"attention": "eager"}):
        np.testing.assert_allclose(logits(folder, EAGER, tmp_path, **options), truth, atol=1e-5)


@pytest.mark.parametrize("name", language_models.MODELS)
@pytest.mark.parametrize("convention", ["optimum", "dynamo"])
def test_lanes_of_an_onnx_file(
    name: str, convention: str, model_file: ModelFile, tmp_path: Path
) -> None:
    path, truth = model_file(convention, name), uncached_logits(name)
    for engine in (ORT, EAGER):
        np.testing.assert_allclose(logits(path, engine, tmp_path), truth, atol=1e-5)


def test_grouped_query_attention_with_and_without_a_shared_buffer(tmp_path: Path) -> None:
    path = language_models.genai_file(tmp_path)
    shared = logits(path, ORT, tmp_path)
    np.testing.assert_allclose(logits(path, ORT, tmp_path, shared_cache=False), shared, atol=1e-6)
    np.testing.assert_allclose(logits(path, EAGER, tmp_path), shared, atol=1e-5)


def test_compiled(tmp_path: Path) -> None:
    folder = language_models.folder(tmp_path, "llama")
    found = logits(folder, COMPILE, tmp_path, cache="static")
    np.testing.assert_allclose(found, uncached_logits("llama"), atol=1e-5)


def test_the_cache_is_not_copied(model_file: ModelFile, tmp_path: Path) -> None:
    """What the session gave is what it gets back: the same memory, from step to step."""
    made: Any = generator(model_file("optimum", "gpt2"), ORT, tmp_path)
    made.prefill()
    given = [value.data_ptr() for value in made._cache]
    bound: list[int] = []
    bind = made._binding.bind_ortvalue_input

    def watched(name: str, value: Any) -> None:
        bound.append(value.data_ptr())
        bind(name, value)

    made._binding.bind_ortvalue_input = watched
    made.step(0)
    assert bound == given
    made.close()
    shared: Any = generator(language_models.genai_file(tmp_path), ORT, tmp_path)
    shared.prefill()
    before = [value.data_ptr() for value in shared._cache]
    shared.step(0)
    assert [value.data_ptr() for value in shared._cache] == before
    shared.close()


def test_a_static_cache_takes_its_full_length_at_once(tmp_path: Path) -> None:
    folder = language_models.folder(tmp_path, "llama")
    made = generator(folder, EAGER, tmp_path, cache="static")
    made.prefill()
    total = PLAN.prompt_tokens + PLAN.new_tokens - 1
    assert made.cache_bytes()[0] == 2 * 2 * 2 * total * 8 * 4
    made.close()


def test_what_can_not_be(model_file: ModelFile, tmp_path: Path) -> None:
    path = model_file("optimum", "gpt2")
    with pytest.raises(EngineError, match="one buffer"):
        generator(path, ORT, tmp_path, shared_cache=True)
    with pytest.raises(EngineError, match="static"):
        generator(path, EAGER, tmp_path, cache="static")


def test_code_of_a_folder_is_not_run(tmp_path: Path) -> None:
    folder = language_models.folder(tmp_path, "gpt2")
    config = json.loads((folder / "config.json").read_text())
    marker = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')\n")
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelFileError, match="not run"):
        inspect(identify(folder))
    with pytest.raises(ModelFileError, match="not run"):
        generator(folder, EAGER, tmp_path)
    # With a type that the library has, its own classes are used.
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    info = inspect(identify(folder))
    assert any("not run" in note for note in info.notes)
    generator(folder, EAGER, tmp_path).close()
    assert not marker.exists()


def test_a_model_with_a_state_in_place_of_a_cache_is_refused(tmp_path: Path) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, state_size=4)
    MambaForCausalLM(config).save_pretrained(tmp_path / "mamba")
    with pytest.raises(ModelFileError, match="state in place of a KV cache"):
        generator(tmp_path / "mamba", EAGER, tmp_path)
    assert not any("heads" in note for note in inspect(identify(tmp_path / "mamba")).notes)
