"""Lanes as a person mixes them: other files, other engines, and the same plan once more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from profiler.environment import describe_environment
from profiler.model_file import identify
from profiler.plan import default_plan
from profiler.session_file import read_session
from profiler.session_writer import SessionWriter
from profiler.types import ModelInfo, RoundKind, RunStarted, Tolerance
from tests import model_zoo
from tests.end2end.driving import DEMO, assert_refused, dualscope


def profile(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """The JSON of a run that succeeds."""
    done = dualscope("profile", *arguments, "-o=a.dualscope", "--json=-", cwd=folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_lane_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    """As for fp32 against int8, or before against after."""
    first, second = model_zoo.onnx_mlp(tmp_path), tmp_path / "second.onnx"
    second.write_bytes(first.read_bytes())
    lanes = ("--lane=before=ort", f"--lane=after=ort,model={second}")
    found = profile(tmp_path, first, *lanes, "--baseline=before", "--time-limit=1s")
    assert [lane["model"] and Path(lane["model"]["path"]).name for lane in found["lanes"]] == [
        None,
        "second.onnx",
    ]
    (comparison,) = found["comparisons"]
    assert comparison["outputs_agree"] is True


def test_a_model_of_microseconds_ends_within_its_limit(tmp_path: Path) -> None:
    found = profile(tmp_path, model_zoo.onnx_mlp(tmp_path), "--time-limit=2s")
    assert found["finished"] in ("time limit", "precision")
    assert all(lane["iterations"] > 1000 for lane in found["lanes"])
    assert all(len(lane["rounds"][0]["latencies_ns"]) >= 100 for lane in found["lanes"])


def test_torchscript_in_every_engine_that_takes_it(tmp_path: Path) -> None:
    engines = ("ort", "torch-script", "frozen=torch-script,freeze=true", "torch-eager")
    lanes = [f"--lane={engine}" for engine in engines]
    found = profile(tmp_path, model_zoo.torchscript(tmp_path), *lanes, "--time-limit=2s")
    assert [lane["failure"] for lane in found["lanes"]] == [None] * 4
    assert found["baseline"] == "torch-eager"
    assert len(found["comparisons"]) == 3
    assert all(comparison["outputs_agree"] for comparison in found["comparisons"])
    notes = {lane["label"]: lane["graph_note"] for lane in found["lanes"]}
    assert notes["frozen"] == "TorchScript, frozen"
    assert notes["torch-eager"] == "converted from TorchScript"


def test_torch_compile_tells_its_compile_time_apart(tmp_path: Path) -> None:
    lanes = ("--lane=torch-eager", "--lane=torch-compile")
    found = profile(tmp_path, model_zoo.pickled_sequential(tmp_path), *lanes, "--time-limit=2s")
    eager, compiled = found["lanes"]
    assert compiled["failure"] is None
    assert eager["compile_time_ns"] == 0
    assert 0 < compiled["compile_time_ns"] <= compiled["first_iteration_ns"]


def test_a_tolerance_of_zero_finds_a_difference_and_says_so_first(tmp_path: Path) -> None:
    found = profile(tmp_path, DEMO, "--rtol=0", "--atol=0", "--time-limit=1s")
    (comparison,) = found["comparisons"]
    assert comparison["outputs_agree"] is False
    assert comparison["tolerance"] == {"rtol": 0.0, "atol": 0.0}
    assert found["verdict"].startswith("ONNX Runtime (CPU) gives other outputs than PyTorch eager")


def test_a_plan_is_repeated(tmp_path: Path) -> None:
    lanes = ("--lane=one=ort,intra_op_threads=1", "--lane=free=ort,stop_spinning=true")
    profile(tmp_path, DEMO, *lanes, "--baseline=one", "--seed=5", "--time-limit=1s")
    done = dualscope(
        "profile",
        "--repeat=a.dualscope",
        "--time-limit=500ms",
        "--rtol=0.5",
        "-o=b.dualscope",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    first, second = (read_session(tmp_path / name).plan for name in ("a.dualscope", "b.dualscope"))
    assert first is not None and second is not None
    assert second.stopping.time_limit_s == 0.5
    assert (second.engines, second.inputs, second.seed) == (first.engines, first.inputs, 5)
    assert second.tolerance == Tolerance(rtol=0.5, atol=0.0)
    timed = read_session(tmp_path / "b.dualscope").rounds["free"]
    assert any(turn.kind is RoundKind.TIMED for turn in timed)


def test_a_classifier_whose_output_is_text_is_measured(tmp_path: Path) -> None:
    found = profile(tmp_path, model_zoo.onnx_labels(tmp_path), "--lane=a=ort", "--lane=b=ort",
        "--time-limit=300ms")  # fmt: skip
    (comparison,) = found["comparisons"]
    assert comparison["outputs_agree"] is True
    assert "aren't numbers" in comparison["output_differences"][0]["note"]


def test_a_plan_is_not_repeated_on_another_file(tmp_path: Path) -> None:
    path = model_zoo.onnx_mlp(tmp_path)
    profile(tmp_path, path, "--lane=ort", "--time-limit=200ms")
    path.write_bytes(path.read_bytes() + b"\x00\x00")
    done = dualscope("profile", "--repeat=a.dualscope", "-o=b.dualscope", cwd=tmp_path)
    assert_refused(done, 3, "mlp.onnx")
    done = dualscope("profile", path, "--repeat=a.dualscope", cwd=tmp_path)
    assert_refused(done, 2, "Leave out MODEL")


def test_a_session_s_device_that_can_t_be_read_is_refused(tmp_path: Path) -> None:
    source = identify(model_zoo.onnx_mlp(tmp_path))
    plan = default_plan(ModelInfo(source=source, inputs=(), outputs=()))
    lanes = tuple(msgspec.structs.replace(spec, device="cuda:x") for spec in plan.engines)
    started = RunStarted(
        time_ns=0,
        plan=msgspec.structs.replace(plan, engines=lanes),
        environment=describe_environment(),
        dualscope_version="0",
    )
    with SessionWriter(tmp_path / "a.dualscope") as writer:
        writer.append(started)
    done = dualscope("profile", "--repeat=a.dualscope", "-o=b.dualscope", cwd=tmp_path)
    assert_refused(done, 2, "Lane 'ort': device can't be 'cuda:x'")
    assert not (tmp_path / "b.dualscope").exists()


@pytest.mark.parametrize(
    ("lanes", "part", "hint"),
    [
        (["a=torch-script"], "torch-script can't run a file of kind onnx", "ort, torch-eager"),
        (["a=torch-export"], "torch-export can't run a file of kind onnx", "ort, torch-eager"),
        (["a=ort,execution_provider=Fast"], "has no Fast here", "CPUExecutionProvider"),
        (["a=torch-eager,device=cuda:7"], "there is no cuda:7", "There is: cpu"),
        (["a=ort", "a=ort"], "Two lanes are called 'a'", "a name of its own"),
        (["a=torch-compile,freeze=true"], "torch-compile has no option 'freeze'", "mode"),
        (["a=ort,model=gone.onnx"], "does not exist", ""),
    ],
)
def test_what_is_impossible_is_refused_before_anything_starts(
    tmp_path: Path, lanes: list[str], part: str, hint: str
) -> None:
    arguments = [f"--lane={lane}" for lane in lanes]
    done = dualscope("profile", DEMO, *arguments, "-o=a.dualscope", cwd=tmp_path)
    assert_refused(done, 3 if "gone" in lanes[0] else 2, part, hint)
    assert not (tmp_path / "a.dualscope").exists()


def test_no_model_and_no_session(tmp_path: Path) -> None:
    assert_refused(dualscope("profile", cwd=tmp_path), 2, "Which model?")
