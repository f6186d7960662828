"""The command line as a person or a script runs it: real processes, real engines."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from profiler.session_file import read_session
from profiler.version import VERSION
from tests import model_zoo
from tests.end2end.driving import DEMO, MAIN, ROOT, Done, assert_refused, dualscope


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """One run of the demo model, which several tests look at."""
    folder = tmp_path_factory.mktemp("profiled")
    done = dualscope(
        "profile",
        DEMO,
        "--time-limit=3s",
        "-o=run.dualscope",
        "--json=-",
        "--html=report/run.html",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture
def session_path(profiled: tuple[Path, Done]) -> Path:
    return profiled[0] / "run.dualscope"


def test_profile_prints_json(profiled: tuple[Path, Done]) -> None:
    found = json.loads(profiled[1].stdout)
    labels = {lane["label"]: lane for lane in found["lanes"]}
    assert set(labels) == {"ort", "torch-eager"}
    for lane in labels.values():
        assert lane["failure"] is None
        latency = lane["latency_ns"]
        assert 0 < latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"]
        assert latency["mean"] > 0
        assert lane["rounds"]
        assert lane["operators"]
        nodes = {node for row in lane["operators"] for node in row["source_nodes"]}
        assert "logits" in nodes or len(nodes) > 10
    (comparison,) = found["comparisons"]
    assert comparison["low"] <= comparison["speedup"]
    assert comparison["verdict"] in {"faster", "slower", "same", "unresolved"}
    assert comparison["outputs_agree"] is True


def test_profile_tells_its_progress_in_plain_lines(profiled: tuple[Path, Done]) -> None:
    errors = profiled[1].stderr
    assert "\x1b" not in errors
    assert "loading ort\n" in errors
    assert "loading torch-eager\n" in errors
    assert "measuring [" in errors
    assert "session: run.dualscope\n" in errors


def test_profile_writes_the_session_and_the_report(
    profiled: tuple[Path, Done], session_path: Path
) -> None:
    session = read_session(session_path)
    found = json.loads(profiled[1].stdout)
    assert session.finished is not None
    assert session.finished.reason == found["finished"]
    assert session.verdict() == found["verdict"]
    assert session.environment == found["environment"]
    assert session.telemetry
    html = (profiled[0] / "report" / "run.html").read_text("utf-8")
    assert "demo.onnx" in html
    assert "ONNX Runtime (CPU)" in html


def test_info_shows_a_session(profiled: tuple[Path, Done], session_path: Path) -> None:
    done = dualscope("info", session_path, cwd=session_path.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(profiled[1].stdout)["verdict"] in done.stdout
    assert "PyTorch eager (CPU)" in done.stdout
    as_json = dualscope("info", session_path, "--json", cwd=session_path.parent)
    assert json.loads(as_json.stdout) == json.loads(profiled[1].stdout)


def test_info_knows_a_session_by_any_name(tmp_path: Path, session_path: Path) -> None:
    (tmp_path / "renamed.bin").write_bytes(session_path.read_bytes())
    done = dualscope("info", "renamed.bin", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PyTorch eager (CPU)" in done.stdout


def test_info_shows_a_model(tmp_path: Path) -> None:
    done = dualscope("info", DEMO, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "demo.onnx: onnx" in done.stdout
    assert "input image: float32 [batch=1, 3, 96, 96]" in done.stdout
    assert "operators: " in done.stdout


def test_info_shows_a_model_as_json(tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(dualscope("info", DEMO, "--json", cwd=tmp_path).stdout)
    assert found["source"]["kind"] == "onnx"
    assert found["source"]["size_bytes"] == DEMO.stat().st_size
    assert [spec["name"] for spec in found["inputs"]] == ["image"]
    assert found["inputs"][0]["symbols"] == ["batch", None, None, None]
    assert found["op_counts"]["Conv"] == 7
    assert found["missing_torch_ops"] == []


def _is_table(text: str) -> bool:
    return len(list(csv.reader(text.splitlines()))) > 10


@pytest.mark.parametrize(
    ("name", "suffix", "check"),
    [
        ("csv-operators", ".csv", _is_table),
        ("csv-rounds", ".csv", _is_table),
        ("json", ".json", lambda text: len(json.loads(text)["lanes"]) == 2),
        ("chrome-trace", ".json", lambda text: len(json.loads(text)["traceEvents"]) > 20),
        ("html", ".html", lambda text: text.startswith("<!DOCTYPE html>")),
    ],
)
def test_export_writes_each_format(
    tmp_path: Path, session_path: Path, name: str, suffix: str, check: Callable[[str], bool]
) -> None:
    done = dualscope("export", session_path, "--format", name, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    beside = session_path.with_name(f"run-{name}{suffix}")
    assert done.stdout == f"{beside}\n"
    assert check(beside.read_text("utf-8"))
    chosen = dualscope("export", session_path, "--format", name, "-o", "new/x", cwd=tmp_path)
    assert chosen.returncode == 0
    assert (tmp_path / "new" / "x").read_bytes() == beside.read_bytes()


def test_export_does_not_overwrite_its_session(session_path: Path) -> None:
    before = session_path.read_bytes()
    done = dualscope(
        "export", session_path, "--format=json", "-o", session_path, cwd=session_path.parent
    )
    assert_refused(done, 8, "is the session itself")
    assert session_path.read_bytes() == before


def test_export_to_a_place_that_cannot_be_written(tmp_path: Path, session_path: Path) -> None:
    done = dualscope("export", session_path, "--format=json", "-o", tmp_path, cwd=tmp_path)
    assert_refused(done, 8, "can't be written", "hint: ")


def test_lanes_and_inputs_are_taken_from_the_command_line(tmp_path: Path) -> None:
    done = dualscope(
        "profile",
        DEMO,
        "--lane=one=ort,intra_op_threads=1",
        "--lane=plain=ort,graph_optimization_level=disable",
        "--baseline=plain",
        "--input=image=float32[2,3,96,96]",
        "--time-limit=500ms",
        "--seed=3",
        "-o=a.dualscope",
        "--json=deep/a.json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= 5
    plan = read_session(tmp_path / "a.dualscope").plan
    assert plan is not None
    assert plan.inputs[0].shape == (2, 3, 96, 96)
    assert [spec.label for spec in plan.engines] == ["one", "plain"]
    assert (plan.baseline, plan.seed, plan.stopping.time_limit_s) == ("plain", 3, 0.5)
    found = json.loads((tmp_path / "deep" / "a.json").read_text("utf-8"))
    assert found["lanes"][0]["options"] == {"intra_op_threads": 1}


def test_json_that_cannot_be_written_is_told_and_the_session_kept(tmp_path: Path) -> None:
    done = dualscope(
        "profile", DEMO, "--lane=ort", "--time-limit=200ms", "-o=a.dualscope", "--json=.",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 8
    assert "Traceback" not in done.stderr
    assert re.search(r"error: .* can't be written", done.stderr)
    assert "session: a.dualscope" in done.stderr
    assert "ONNX Runtime (CPU) takes" in done.stdout
    assert read_session(tmp_path / "a.dualscope").rounds["ort"]


def test_a_lane_that_fails_is_told_and_the_other_measured(tmp_path: Path) -> None:
    other = model_zoo.onnx_mlp(tmp_path)
    lanes = ("--lane=ort", f"--lane=bad=ort,model={other}")
    done = dualscope("profile", DEMO, *lanes, "--time-limit=200ms", "-o=a.dualscope", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lane bad failed: " in done.stderr
    session = read_session(tmp_path / "a.dualscope")
    assert set(session.failures) == {"bad"}
    assert session.latency_stats("ort") is not None


def test_every_lane_failing_has_its_own_exit_code(tmp_path: Path) -> None:
    done = dualscope(
        "profile", DEMO, f"--lane=bad=ort,model={model_zoo.onnx_mlp(tmp_path)}", "-o=a.dualscope",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "Traceback" not in done.stderr
    finished = read_session(tmp_path / "a.dualscope").finished
    assert finished is not None
    assert finished.reason == "all lanes failed"


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "name", "content", "part"),
    [
        ("info", "notes.txt", b"hello, world\n", "is a text file"),
        ("info", "empty.onnx", b"", "is empty"),
        ("info", "cut.onnx", DEMO.read_bytes()[:5000], "is a truncated ONNX file"),
        ("info", "gone.onnx", None, "does not exist"),
        ("profile", "noise.onnx", bytes(range(255, 0, -1)) * 9, "is not a model file"),
        ("profile", "empty.onnx", b"", "is empty"),
        ("profile", ".", None, "is a directory"),
    ],
)
def test_not_a_model(
    tmp_path: Path, command: str, name: str, content: bytes | None, part: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = set(tmp_path.iterdir())
    done = dualscope(command, name, cwd=tmp_path)
    assert_refused(done, 3, part, "hint: ")
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("picture=float32[1,3,96,96]", "Its inputs: image."),
        ("image=float32[1,96,96]", "has 4 dimensions, not 3"),
        ("image=int64[1,3,96,96]", "is float32 in the model, not int64"),
        ("image=gone.npy", "Can't read values from gone.npy"),
    ],
)
def test_a_wrong_input(tmp_path: Path, text: str, part: str) -> None:
    done = dualscope("profile", DEMO, "--input", text, cwd=tmp_path)
    assert_refused(done, 6, part)
    assert list(tmp_path.glob("*.dualscope")) == []


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ("--lane=ort,speed=11", "has no option 'speed'"),
        ("--baseline=other", "is not one of the lanes"),
        ("--time-limit=0s", "must be positive"),
        ("--time-limit=soon", "is no time"),
        ("--target=narrow", "is no share"),
        ("--seed=-1", "is no whole number"),
        ("--speed=11", "unrecognized arguments"),
    ],
)
def test_a_wrong_option(tmp_path: Path, option: str, part: str) -> None:
    done = dualscope("profile", DEMO, option, cwd=tmp_path)
    assert_refused(done, 2, part)


@pytest.mark.parametrize("command", ["profile", "generate", "fastest"])
def test_a_negative_time_is_told_as_such(tmp_path: Path, command: str) -> None:
    option = "--budget" if command == "fastest" else "--time-limit"
    for arguments in ((option, "-5s"), (f"{option}=-5s",)):
        done = dualscope(command, DEMO, *arguments, cwd=tmp_path)
        assert_refused(done, 2, f"argument {option}: '-5s' is not positive")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nonsense",), "'nonsense' is no command, and no file"),
        (("gone.onnx",), "'gone.onnx' is no file"),
        (("open", "gone"), "'gone' is no file"),
        ((DEMO,), "no display"),
    ],
)
def test_without_a_display_what_is_wrong_with_a_file_comes_first(
    tmp_path: Path, arguments: tuple[str | Path, ...], part: str
) -> None:
    none = dict.fromkeys(("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"), "")
    assert_refused(dualscope(*arguments, cwd=tmp_path, **none), 2, part)


@pytest.mark.parametrize("command", [("info",), ("export", "--format=json")])
@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.dualscope", b"no session", "is no Dualscope session"),
        ("a.dualscope", b"", "is no Dualscope session"),
        ("a.dualscope", None, "is no file"),
        ("b.bin", b"12345678DUCK" + bytes(99), "is no Dualscope session"),
    ],
)
def test_not_a_session(
    tmp_path: Path, command: tuple[str, ...], name: str, content: bytes | None, part: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = dualscope(*command, name, cwd=tmp_path)
    assert_refused(done, 8, part)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("profil", "x.onnx"), "Did you mean profile? dualscope --help"),
        (("benchendpoint",), "Did you mean bench-endpoint?"),
        (("nonsense",), "hint: dualscope --help"),
    ],
)
def test_a_wrong_command(tmp_path: Path, arguments: tuple[str, ...], hint: str) -> None:
    """It is no model whose window is to be opened, display or not."""
    assert_refused(dualscope(*arguments, cwd=tmp_path), 2, repr(arguments[0]), hint)


def test_a_folder_of_one_word_and_options_are_no_command(tmp_path: Path) -> None:
    (tmp_path / "gpt").mkdir()
    for arguments in (("gpt",), ("--profile", "gpt"), ("open", "gpt")):
        done = dualscope(
            *arguments, cwd=tmp_path, DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM=""
        )
        assert_refused(done, 2, "display")


def test_an_existing_session_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.dualscope").write_text("precious")
    done = dualscope("profile", DEMO, "-o=a.dualscope", cwd=tmp_path)
    assert_refused(done, 8, "exists already")
    assert (tmp_path / "a.dualscope").read_text() == "precious"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.onnx")
    (tmp_path / name).write_bytes(DEMO.read_bytes())
    assert_refused(dualscope("info", name, cwd=tmp_path), 2, "is not valid UTF-8")


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(DEMO.read_bytes())
    (tmp_path / "a.onnx").chmod(0)
    assert_refused(dualscope("info", "a.onnx", cwd=tmp_path), 3, "no permission")


# --- Ctrl-C, pipes, encodings -------------------------------------------------------------------


def start_long_run(tmp_path: Path, until: str) -> tuple[subprocess.Popen[str], str]:
    """A run that would take minutes, in a process group of its own, and what it said so far."""
    # Two lanes of the engine that loads quickly.
    lanes = ("--lane=ort", "--lane=other=ort,intra_op_threads=1")
    limits = ("--time-limit=300s", "--target=0.0001%")
    process = subprocess.Popen(
        [*MAIN, "profile", str(DEMO), *lanes, *limits, "-o=a.dualscope"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=tmp_path,
        start_new_session=True,
    )
    assert process.stderr is not None
    seen = ""
    while until not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    return process, seen


def interrupt(tmp_path: Path, when: str, *, times: int = 1) -> tuple[int, str]:
    """Start a long run, and press Ctrl-C at a line: the whole process group gets the signal."""
    process, seen = start_long_run(tmp_path, when)
    try:
        for _ in range(times):
            os.killpg(process.pid, signal.SIGINT)
        _, rest = process.communicate(timeout=180)
    finally:
        process.kill()
    return process.returncode, seen + rest


def left_of_group(group: int) -> list[psutil.Process]:
    """Processes of the group that still run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


needs_signals = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


@needs_signals
def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    code, errors = interrupt(tmp_path, "measuring [")
    assert code == 130, errors
    assert "stopping; what was measured is kept" in errors
    assert "Traceback" not in errors
    session = read_session(tmp_path / "a.dualscope")
    assert session.finished is not None
    assert session.finished.reason == "stopped"
    assert session.latency_stats("ort") is not None
    assert session.failures == {}


@needs_signals
@pytest.mark.parametrize("when", ["loading ort", "loading other", "warming up ort"])
def test_ctrl_c_before_anything_was_measured(tmp_path: Path, when: str) -> None:
    code, errors = interrupt(tmp_path, when)
    assert code == 130, errors
    assert "Traceback" not in errors
    session = read_session(tmp_path / "a.dualscope")
    assert session.finished is not None
    assert session.failures == {}


@needs_signals
def test_ctrl_c_while_the_model_is_looked_at(tmp_path: Path) -> None:
    code, errors = interrupt(tmp_path, "looking at")
    assert code == 130, errors
    assert "Traceback" not in errors


@needs_signals
def test_ctrl_c_twice_leaves_a_session_that_opens(tmp_path: Path) -> None:
    code, errors = interrupt(tmp_path, "measuring [", times=2)
    assert code == 130, errors
    assert "Traceback" not in errors
    assert read_session(tmp_path / "a.dualscope").rounds


@needs_signals
def test_a_killed_run_leaves_a_session_and_no_process(tmp_path: Path) -> None:
    process, _ = start_long_run(tmp_path, "measuring [")
    assert len(left_of_group(process.pid)) >= 3
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=180)
    session = read_session(tmp_path / "a.dualscope")
    assert set(session.ready) == {"ort", "other"}
    assert session.finished is None
    deadline = time.monotonic() + 30
    while left_of_group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left_of_group(process.pid) == []


@needs_signals
def test_a_terminal_gets_a_bar_that_is_cleared(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [*MAIN, "profile", str(DEMO), "--lane=ort", "--time-limit=1s", "-o=a.dualscope"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, cwd=tmp_path)
    os.close(theirs)
    shown = b""
    # The end of the last process on a terminal reads as an error on Linux.
    with contextlib.suppress(OSError):
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    process.communicate(timeout=180)
    assert process.returncode == 0, shown
    lines = shown.decode().replace("\r\n", "\n").split("\n")
    assert any("\r\x1b[Kmeasuring [#" in line for line in lines)
    assert [line.rpartition("\r\x1b[K")[2] for line in lines if line][1:] == [
        "session: a.dualscope"
    ]


@needs_signals
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = [*MAIN, "info", str(DEMO), "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=180) == 0


def test_output_in_any_encoding(profiled: tuple[Path, Done], session_path: Path) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    text = dualscope("info", session_path, cwd=session_path.parent, **ascii_only)
    assert text.returncode == 0, text.stderr
    found = dualscope("info", session_path, "--json", cwd=session_path.parent, **ascii_only)
    assert json.loads(found.stdout) == json.loads(profiled[1].stdout)


# --- help ---------------------------------------------------------------------------------------

HEAVY = {"torch", "onnxruntime", "onnx", "onnxscript", "PySide6", "netron", "pyqtgraph"}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("profile", "--help")])
def test_help_imports_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *MAIN[1:], *arguments],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "argparse" in imported
    assert imported & HEAVY == set()


def test_help_says_what_there_is(tmp_path: Path) -> None:
    text = dualscope("--help", cwd=tmp_path).stdout
    for part in ("profile", "export", "info", "open", "exit codes", "130"):
        assert part in text
    options = dualscope("profile", "--help", cwd=tmp_path).stdout
    for part in ("--lane", "--input", "--time-limit", "--output", "--json", "--html", "2%"):
        assert part in options
    assert dualscope("--version", cwd=tmp_path).stdout == f"dualscope {VERSION}\n"


def test_a_profile_run_keeps_engines_out_of_the_parent(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['dualscope', 'profile', sys.argv[1], '--lane=ort',"
        " '--time-limit=100ms', '-o', 'a.dualscope']\n"
        "if __name__ == '__main__':\n"
        "    from profiler import cli\n"
        "    code = cli.run(sys.argv[1:])\n"
        f"    print(sorted({HEAVY!r} & set(sys.modules)))\n"
        "    sys.exit(code)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(DEMO)],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("[]\n")
