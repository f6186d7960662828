"""What to look at and to import a model with 500 MB of weights costs: time and memory.

    python benchmarks/large_import.py

GPT-2 (124 million parameters), with its weights beside the file and in it. The file has just been
written, so that it is in the system's cache; each import, and each inspection for what the window
shows of a file, is measured in a process of its own, whose memory is looked at every two
milliseconds from outside of it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import onnx
import torch
import transformers as hf
from onnx import TensorProto, helper

from benchmarks.onnx_models import Wrapped
from profiler.model_file import identify
from profiler.onnx_inspection import inspect
from profiler.onnx_torch import import_onnx

MIB = 2**20
MEASURED: dict[str, Callable[[Path], object]] = {
    "inspected": lambda path: inspect(identify(path)),
    "imported": import_onnx,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--what", choices=MEASURED, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.file is not None:
        return measure(arguments.file, arguments.what)
    print("| what | weights | MB | nodes | s | peak MiB | peak of private MiB | kept MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for beside in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            path = large_model(Path(folder), beside=beside)
            for what in MEASURED:
                print(row(path, what, beside=beside), flush=True)
    return 0


def row(path: Path, what: str, *, beside: bool) -> str:
    """Seconds and memory, measured in a process of its own."""
    size = sum(file.stat().st_size for file in path.parent.glob("large*")) / 1e6
    found, samples = watched([sys.executable, __file__, f"--file={path}", f"--what={what}"])
    place = "beside the file" if beside else "in the file"
    during = [sample for at, *sample in samples if found["started"] <= at <= found["ended"]]
    peaks = [max(column) for column in zip(*during, strict=True)]
    cells = [
        f"{(peak - before) / MIB:.0f}" for peak, before in zip(peaks, found["before"], strict=True)
    ]
    seconds = found["ended"] - found["started"]
    return (
        f"| {what} | {place} | {size:.0f} | {found['nodes']} | {seconds:.2f} "
        f"| {' | '.join(cells)} | {(found['after'][1] - found['before'][1]) / MIB:.0f} |"
    )


def watched(command: list[str]) -> tuple[dict[str, Any], list[tuple[float, int, int]]]:
    """What a child prints as JSON; and (time, bytes, private bytes) of it, again and again."""
    samples = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            with contextlib.suppress(ProcessLookupError, KeyError):
                samples.append((time.monotonic(), *memory(child.pid)))
            time.sleep(0.002)
        assert child.stdout is not None
        return json.loads(child.stdout.read()), samples


def memory(pid: int) -> tuple[int, int]:
    """Bytes that the process has in memory, and those that no file gives back: the private ones."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    whole, private = (int(fields[key].split()[0]) for key in ("VmRSS", "RssAnon"))
    return whole * 1024, private * 1024


def large_model(folder: Path, *, beside: bool) -> Path:
    """GPT-2 as the newer exporter writes it."""
    module = Wrapped(hf.GPT2Model(hf.GPT2Config()), ["input_ids"], ["last_hidden_state"])
    path = folder / "large.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.randint(0, 1000, (1, 16)),),
            str(path),
            input_names=["input_ids"],
            external_data=beside,
            verbose=False,
            dynamo=True,
        )
    return path


def measure(path: Path, what: str) -> int:
    """In the child: print times and memory as JSON."""
    small = path.parent / "small.onnx"
    node = helper.make_node("Relu", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, ir_version=9), str(small))
    import_onnx(small)
    inspect(identify(small))
    before = memory(os.getpid())
    started = time.monotonic()
    made = MEASURED[what](path)
    ended = time.monotonic()
    if isinstance(made, torch.nn.Module):
        with torch.inference_mode():
            made(torch.randint(0, 1000, (1, 16)))
    found = {"started": started, "ended": ended, "before": before, "after": memory(os.getpid())}
    found["nodes"] = len(onnx.load(str(path), load_external_data=False).graph.node)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
