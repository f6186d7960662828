"""Text generation from the command line: real models, real lanes, files that hold the results."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from profiler.exporters import formats
from profiler.session_file import read_session
from tests import language_models
from tests.end2end.driving import assert_refused, dualscope
from tests.scripted_server import scripted_server, words

TOKENS = ("--prompt-tokens=12", "--new-tokens=6")


def test_a_transformers_folder(tmp_path: Path) -> None:
    """ONNX Runtime gets the folder's model exported with its cache."""
    folder = language_models.folder(tmp_path, "llama")
    done = dualscope(
        *("generate", folder, *TOKENS, "--time-limit=3s", "--lane=ort", "--lane=torch-eager"),
        *("--lane=static=torch-eager,cache=static", "-o=run.dualscope", "--html=run.html"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "TTFT" in done.stdout and "prompt of 12 tokens, 6 new ones" in done.stdout
    session = read_session(tmp_path / "run.dualscope")
    assert not session.failures
    assert {o.candidate for o in session.outputs} == {"ort", "static"}
    assert all(o.agree for o in session.outputs)
    assert all(d.argmax_agreement == 1.0 for o in session.outputs for d in o.differences)
    report = json.loads(formats()["json"].render(session))["generation"]
    cache = {label: lane["cache_bytes"] for label, lane in report["lanes"].items()}
    # Keys and values of 2 layers, 17 tokens, 2 heads of 8 floats.
    assert cache == dict.fromkeys(("ort", "torch-eager", "static"), 2 * 2 * 17 * 2 * 8 * 4)
    for metric in ("ttft", "itl", "per_token"):
        found = report["comparisons"][metric]
        assert [c["candidate"] for c in found] == ["ort", "static"]
        assert {c["baseline"] for c in found} == {"torch-eager"}
    assert [row["token"] for row in report["lanes"]["ort"]["itl_by_position"]] == [2, 3, 4, 5, 6]
    rows = list(csv.DictReader(io.StringIO(formats()["csv-tokens"].render(session))))
    timed = [row for row in rows if row["kind"] == "timed" and row["lane"] == "ort"]
    assert {row["token"] for row in timed} == {"1", "2", "3", "4", "5", "6"}
    page = (tmp_path / "run.html").read_text("utf-8")
    assert "Inter-token latency against position" in page and "LlamaForCausalLM" in page


def test_an_onnx_file_beside_an_endpoint(tmp_path: Path) -> None:
    path = language_models.genai_file(tmp_path)
    with scripted_server(lambda _: (200, words(6))) as server:
        done = dualscope(
            *("generate", path, *TOKENS, "--time-limit=2s", "--lane=ort", "--json=-"),
            *(f"--lane=served=endpoint,url={server.url},requests=4", "-o=run.dualscope"),
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report["generation"]["lanes"]) == {"ort", "served"}
    assert report["generation"]["lanes"]["served"]["generations"] > 0
    assert report["comparisons"][0]["outputs_agree"] is None


def test_an_endpoint_alone(tmp_path: Path) -> None:
    with scripted_server(lambda _: (200, words(4))) as server:
        done = dualscope(
            *("bench-endpoint", server.url, "--rate=400,800", "--requests=4", "--time-limit=1s"),
            *("--new-tokens=4", "-o=run.dualscope", "--html=run.html"),
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    assert "requests/s" in done.stdout
    session = read_session(tmp_path / "run.dualscope")
    assert session.plan is not None
    assert [spec.options["rate"] for spec in session.plan.engines] == ["400", "800"]


def test_an_endpoint_that_is_not_there(tmp_path: Path) -> None:
    done = dualscope(
        *("bench-endpoint", "http://127.0.0.1:9/v1", "--time-limit=1s", "-o=run.dualscope"),
        cwd=tmp_path,
    )
    assert done.returncode == 7
    assert "There is no server at http://127.0.0.1:9/v1" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--new-tokens=1",), "at least 2 new ones"),
        (("--prompt-tokens=200",), "more than the model takes: 128"),
        (("--lane=torch-script",), "can't generate text"),
        (("--lane=ort,cache=static",), "ort has no option 'cache'"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    folder = language_models.folder(tmp_path, "gpt2")
    assert_refused(dualscope("generate", folder, *arguments, cwd=tmp_path), 2, message)


def test_single_calls_of_a_folder(tmp_path: Path) -> None:
    folder = language_models.folder(tmp_path, "gpt2")
    assert_refused(dualscope("profile", folder, cwd=tmp_path), 2, "dualscope generate")
