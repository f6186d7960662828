"""What the import of models with 500 MB of weights costs: time and memory.

    python benchmarks/large_import.py

GPT-2 (124 million parameters), with its weights beside the file and in it. The file has just been
written, so that it is in the system's cache; each import is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import onnx
import torch
import transformers as hf
from onnx import TensorProto, helper

from benchmarks.onnx_models import Wrapped
from profiler.onnx_torch import import_onnx

MIB = 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    path = parser.parse_args().file
    if path is not None:
        return measure_import(path)
    print("| weights | MB | nodes | read s | imported s | private MiB | after a call MiB |")
    print("|---|---|---|---|---|---|---|")
    for beside in (True, False):
        print(large_import(beside=beside), flush=True)
    return 0


def large_import(*, beside: bool) -> str:
    """A row of seconds and memory, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = large_model(Path(folder), beside=beside)
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
        command = [sys.executable, __file__, f"--file={path}"]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(run.stdout)
    place = "beside the file" if beside else "in the file"
    return (
        f"| {place} | {size:.0f} | {found['nodes']} | {found['read']:.2f} | {found['seconds']:.2f} "
        f"| {found['private_mib']:.0f} | {found['after_mib']:.0f} |"
    )


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


def private_bytes() -> int:
    """Memory that only this process has: pages mapped from a file are not counted."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    fields = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
    return int(fields["Anonymous"]) * 1024


def measure_import(path: Path) -> int:
    """In the child: print seconds and memory as JSON."""
    small = path.parent / "small.onnx"
    node = helper.make_node("Relu", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, ir_version=9), str(small))
    import_onnx(small)
    started = time.perf_counter()
    nodes = len(onnx.load(str(path), load_external_data=False).graph.node)
    read = time.perf_counter() - started
    before = private_bytes()
    started = time.perf_counter()
    module = import_onnx(path)
    seconds = time.perf_counter() - started
    grown = private_bytes() - before
    with torch.inference_mode():
        module(torch.randint(0, 1000, (1, 16)))
    after = private_bytes() - before
    print(
        json.dumps(
            {
                "nodes": nodes,
                "read": read,
                "seconds": seconds,
                "private_mib": grown / MIB,
                "after_mib": after / MIB,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
