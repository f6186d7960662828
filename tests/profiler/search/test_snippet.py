"""Programs of lanes: written, run alone, and their outputs against the engine's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from profiler.engines import create_engine
from profiler.errors import ModelFileError
from profiler.inputs import make_arrays, with_fill
from profiler.jobs import program_form
from profiler.model_file import identify
from profiler.outputs import load_outputs
from profiler.precision import convert_precision
from profiler.search.snippet import INPUTS, make_snippet, write_program, write_snippet
from profiler.session import Session
from profiler.types import (
    EngineKind,
    EngineSpec,
    Fill,
    InputSpec,
    Load,
    ModelConverted,
    ModelSource,
    RunPlan,
    RunStarted,
)
from tests import model_zoo

ROWS = (InputSpec(name="x", dtype="float32", shape=(3, 16), symbols=("batch", None)),)
IMAGE = (InputSpec(name="x", dtype="float32", shape=(1, 3, 32, 32)),)
Options = dict[str, str | int | float | bool]


def run_program(program: Path) -> tuple[dict[str, float], list[np.ndarray]]:
    """Figures and outputs; the program finds nothing of ours."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", str(program), "--seconds=0.1", "--outputs=out.npz"],
        capture_output=True,
        encoding="utf-8",
        cwd=program.parent,
        env=environment,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), load_outputs(program.parent / "out.npz")


def expected(
    spec: EngineSpec, model: ModelSource, inputs: tuple[InputSpec, ...], folder: Path
) -> list[np.ndarray]:
    engine = create_engine(Load(spec=spec, model=model, inputs=inputs, work_dir=str(folder)))
    engine.load()
    engine.save_outputs(folder / "expected.npz")
    engine.close()
    return load_outputs(folder / "expected.npz")


def check(
    spec: EngineSpec,
    model: ModelSource,
    inputs: tuple[InputSpec, ...],
    folder: Path,
    loaded: ModelSource | None = None,
) -> str:
    """Write and run a lane's program; returns its text. `loaded`: the file that it loads."""
    program = write_snippet(make_snippet(spec, loaded or model, inputs), folder / "program")
    figures, outputs = run_program(program)
    assert 0 < figures["p50_ms"] <= figures["p90_ms"] <= figures["p99_ms"]
    assert figures["calls"] >= 10
    wanted = expected(spec, model, inputs, folder)
    assert len(outputs) == len(wanted)
    for mine, theirs in zip(outputs, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    text = program.read_text("utf-8")
    assert "profiler" not in text
    return text


def ort(**options: str | int | float | bool) -> EngineSpec:
    return EngineSpec(label="ort", engine=EngineKind.ORT, options=options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "graph_optimization_level": "basic",
            "execution_mode": "parallel",
            "intra_op_threads": 1,
            "inter_op_threads": 2,
            "allow_spinning": False,
            "memory_arena": False,
            "memory_pattern": False,
            "io_binding": True,
            "free_dimensions": "batch:3",
        },
    ],
)
def test_onnx_runtime(options: Options, tmp_path: Path) -> None:
    model = identify(model_zoo.onnx_mlp(tmp_path))
    text = check(ort(**options), model, ROWS, tmp_path)
    assert "torch" not in text
    if options:
        assert "options.intra_op_num_threads = 1\n" in text
        assert "ORT_ENABLE_BASIC" in text
        assert "options.enable_mem_pattern = False" in text


def test_weights_beside_the_model_come_along(tmp_path: Path) -> None:
    model = identify(model_zoo.onnx_mlp(tmp_path, external=True))
    check(ort(), model, ROWS, tmp_path)
    assert len(list((tmp_path / "program").iterdir())) == 4


def test_values_of_a_file_come_along(tmp_path: Path) -> None:
    model = identify(model_zoo.onnx_mlp(tmp_path))
    np.save(tmp_path / "x.npy", np.arange(48, dtype=np.float32).reshape(3, 16))
    given = msgspec.structs.replace(ROWS[0], fill=Fill.FILE, path=str(tmp_path / "x.npy"))
    check(ort(), model, (given,), tmp_path)
    assert (tmp_path / "program" / INPUTS).exists()


def test_every_fill_gives_the_same_values(tmp_path: Path) -> None:
    whole: dict[str, Any] = {"dtype": "int64", "shape": (4, 5), "seed": 7}
    specs = (
        InputSpec(name="a", dtype="float16", shape=(2, 3), seed=3),
        with_fill(InputSpec(name="b", dtype="float32", shape=(7,)), Fill.UNIFORM, -2, 255),
        InputSpec(name="c", fill=Fill.INTEGERS, high=100, limit=50, **whole),
        InputSpec(name="d", fill=Fill.ONES, **whole),
        InputSpec(name="it's", dtype="bool", shape=(), fill=Fill.ZEROS),
        InputSpec(name="e", dtype="bfloat16", shape=(2, 2)),
    )
    model = identify(model_zoo.onnx_mlp(tmp_path))
    program = make_snippet(ort(), model, specs).program
    names: dict[str, Any] = {"__name__": "program", "__file__": str(tmp_path / "run.py")}
    exec(compile(program, "run.py", "exec"), names)
    made = names["make_inputs"]()
    wanted = make_arrays(specs)
    assert list(made) == list(wanted)
    for name, array in wanted.items():
        assert made[name].dtype == array.dtype
        np.testing.assert_array_equal(made[name], array)


def test_torchscript_frozen(tmp_path: Path) -> None:
    model = identify(model_zoo.torchscript(tmp_path))
    options: Options = {"freeze": True, "keep_memory": True}
    spec = EngineSpec(label="script", engine=EngineKind.TORCH_SCRIPT, options=options)
    text = check(spec, model, IMAGE, tmp_path)
    assert "torch.jit.freeze" in text and ".mallopt(parameter, value)" in text


def test_a_pickled_module_names_its_classes_and_nothing_else_loads(tmp_path: Path) -> None:
    model = identify(model_zoo.pickled_sequential(tmp_path))
    spec = EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER)
    text = check(spec, model, (msgspec.structs.replace(IMAGE[0], name="input"),), tmp_path)
    assert "weights_only=True" in text
    assert "torch.nn.modules.conv.Conv2d" in text


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_module_in_another_precision(precision: str, tmp_path: Path) -> None:
    model = identify(model_zoo.pickled_sequential(tmp_path))
    options: Options = {"precision": precision, "callers": 3}
    spec = EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER, options=options)
    text = check(spec, model, (msgspec.structs.replace(IMAGE[0], name="input"),), tmp_path)
    assert ("dtype = torch.bfloat16" in text) == (precision == "bf16")
    assert ("quantize_dynamic" in text) == (precision == "int8")
    assert "it was called by 3 at once, here by one" in text


def test_a_lane_in_another_precision_takes_its_file_of_the_cache(tmp_path: Path) -> None:
    model = identify(model_zoo.onnx_mlp(tmp_path))
    half, _ = convert_precision(model, "fp16", ROWS, tmp_path / "cache", lambda _: None)
    session, spec = Session(), ort(precision="fp16")
    plan = RunPlan(model=model, inputs=ROWS, engines=(spec,), baseline="ort", seed=0)
    session.apply(RunStarted(time_ns=0, plan=plan, dualscope_version="", environment={}))
    with pytest.raises(ModelFileError, match="fp16 is not in the cache"):
        write_program(session, spec, tmp_path / "program")
    session.apply(ModelConverted(time_ns=0, model=half, labels=("ort",), form="fp16"))
    program = write_program(session, spec, tmp_path / "program")
    _, outputs = run_program(program)
    for mine, theirs in zip(outputs, expected(spec, half, ROWS, tmp_path), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_exported_program(tmp_path: Path) -> None:
    model = identify(model_zoo.exported_program(tmp_path))
    spec = EngineSpec(label="eager", engine=EngineKind.TORCH_EXPORT)
    check(spec, model, IMAGE, tmp_path)


def test_pytorch_runs_an_onnx_file_as_an_exported_program(tmp_path: Path) -> None:
    model = identify(model_zoo.onnx_mlp(tmp_path))
    program = program_form(model, ROWS, tmp_path / "mlp.pt2")
    spec = EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER, options={"inter_op_threads": 1})
    plain = msgspec.structs.replace(spec, options={})
    text = make_snippet(spec, program, ROWS).program
    assert "torch.set_num_interop_threads(1)" in text
    check(plain, model, ROWS, tmp_path, loaded=program)


@pytest.mark.parametrize("mode", [None, "max-autotune"])
def test_compile_is_called_with_the_lanes_mode(mode: str | None, tmp_path: Path) -> None:
    model = identify(model_zoo.exported_program(tmp_path))
    options: Options = {} if mode is None else {"mode": mode}
    spec = EngineSpec(label="c", engine=EngineKind.TORCH_COMPILE, device="cuda:0", options=options)
    text = make_snippet(spec, model, IMAGE, threads=7).program
    compile(text, "run.py", "exec")
    call = "torch.compile(model)" if mode is None else "torch.compile(model, mode='max-autotune')"
    assert call in text
    assert "torch.cuda.synchronize('cuda:0')" in text
    assert "torch.set_num_threads(7)" in text


def test_programs_of_every_kind_are_python(tmp_path: Path) -> None:
    files = [
        model_zoo.torchscript(tmp_path),
        model_zoo.pickled_sequential(tmp_path),
        model_zoo.exported_program(tmp_path),
        model_zoo.aot_package_stand_in(tmp_path),
    ]
    for path in files:
        for engine in EngineKind:
            if engine is EngineKind.ORT:
                continue
            for trusted in (False, True):
                source = msgspec.structs.replace(identify(path), trusted=trusted)
                spec = EngineSpec(label="e", engine=engine)
                compile(make_snippet(spec, source, IMAGE).program, "run.py", "exec")
