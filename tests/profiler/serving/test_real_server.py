"""A real server, measured from the command line and beside lanes of its own model."""

from __future__ import annotations

import json
from pathlib import Path

from profiler.session_file import read_session
from tests import language_models
from tests.end2end.driving import dualscope
from tests.real_server import transformers_serve


def test_transformers_serve(tmp_path: Path) -> None:
    folder = language_models.folder_with_words(tmp_path, "llama")
    tokens = ("--prompt-tokens=16", "--new-tokens=8")
    with transformers_serve(folder, tmp_path / "server.log") as url:
        bench = dualscope(
            *("bench-endpoint", url, *tokens, "--concurrency=3", "--requests=3"),
            *("--time-limit=4s", "-o=bench.dualscope", "--json=-"),
            cwd=tmp_path,
        )
        assert bench.returncode == 0, bench.stderr
        beside = dualscope(
            *("generate", folder, *tokens, "--lane=torch-eager", "--time-limit=4s"),
            *(f"--lane=server=endpoint,url={url},requests=2", "-o=beside.dualscope", "--json=-"),
            cwd=tmp_path,
        )
        assert beside.returncode == 0, beside.stderr
    found = json.loads(bench.stdout)["generation"]["lanes"]
    assert len(found) == 1
    for lane in found.values():
        # The server counts its tokens itself, and goes on to the full length.
        assert lane["counted_by_server"] and lane["new_tokens"] == 8 and lane["failed"] == 0
        assert lane["ttft"]["p50"] > 0 and lane["itl"]["p50"] > 0
    report = json.loads(beside.stdout)
    assert report["generation"]["plan"]["new_tokens"] == 8
    assert set(report["generation"]["lanes"]) == {"torch-eager", "server"}
    assert report["generation"]["comparisons"]["ttft"][0]["candidate"] == "server"
    session = read_session(tmp_path / "bench.dualscope")
    assert session.plan is not None and len(session.generated) == 1
