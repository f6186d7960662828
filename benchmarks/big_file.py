"""How an ONNX model with gigabytes of external data is opened and run: time and peak memory.

`python benchmarks/big_file.py --mebibytes 4096` makes a model of that size in a temporary folder
(random matrices, each a rotation of the first), identifies it, and runs it once on each
engine. Prints the time of identification and each engine's peak memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from profiler.engine_process import EngineProcess
from profiler.model_file import identify
from profiler.types import (
    EngineKind,
    EngineSpec,
    Failed,
    Infer,
    InputSpec,
    Latencies,
    Load,
    Loaded,
    ModelSource,
)

WIDTH = 4096
WEIGHT_BYTES = WIDTH * WIDTH * 4
LOAD_TIMEOUT_S = 500.0


def make_model(folder: Path, size_bytes: int) -> Path:
    """A chain of matrix products; every matrix is a part of one file."""
    count = max(1, size_bytes // WEIGHT_BYTES)
    weights, nodes, value = [], [], "x"
    for number in range(count):
        tensor = TensorProto(name=f"w{number}", data_type=TensorProto.FLOAT, dims=[WIDTH, WIDTH])
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": "weights.data", "offset": number * WEIGHT_BYTES}
        for key, item in (*place.items(), ("length", WEIGHT_BYTES)):
            tensor.external_data.add(key=key, value=str(item))
        weights.append(tensor)
        nodes.append(helper.make_node("MatMul", [value, f"w{number}"], [f"h{number}"]))
        value = f"h{number}"
    shape: list[str | int | None] = ["batch", WIDTH]
    graph = helper.make_graph(
        nodes,
        "big",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    with (folder / "weights.data").open("wb") as file:
        random = np.random.default_rng(0)
        block = (random.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32)
        for number in range(count):
            # ONNX Runtime would keep equal ones but once.
            file.write(np.roll(block, number, axis=0).tobytes())
    path = folder / "big.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def measure(kind: EngineKind, source: ModelSource, folder: Path) -> str:
    """Load and run once in an engine process of its own; a line of figures."""
    spec = EngineSpec(label=kind.value, engine=kind)
    inputs = (InputSpec(name="x", dtype="float32", shape=(1, WIDTH), symbols=("batch", None)),)
    work_dir = folder / kind.value
    work_dir.mkdir()
    with EngineProcess(spec, work_dir) as process:
        process.send(Load(spec=spec, model=source, inputs=inputs, work_dir=str(work_dir)))
        loaded = process.receive(LOAD_TIMEOUT_S)
        if not isinstance(loaded, Loaded):
            reason = loaded.message if isinstance(loaded, Failed) else "no answer in time"
            return f"{kind.value}: failed: {reason}"
        process.send(Infer(iterations=1))
        reply = process.receive(LOAD_TIMEOUT_S)
    peak = reply.peak_rss_bytes if isinstance(reply, Latencies) else 0
    return (
        f"{kind.value}: loaded in {loaded.load_time_ns / 1e9:.1f} s, "
        f"peak {(peak - loaded.baseline_rss_bytes) / 2**20:.0f} MiB above the empty engine"
        f" ({peak / source.size_bytes:.2f} times the weights, all in all)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=4096, help="size of the weights")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualscope-big-", dir=arguments.folder) as name:
        folder = Path(name)
        path = make_model(folder, arguments.mebibytes << 20)
        times_s = []
        for _ in range(5):
            started = time.perf_counter()
            source = identify(path)
            times_s.append(time.perf_counter() - started)
        print(f"model and weights: {source.size_bytes / 2**20:.0f} MiB")
        print(f"identified in {np.median(times_s) * 1000:.1f} ms (median of {len(times_s)})")
        for kind in (EngineKind.ORT, EngineKind.TORCH_EAGER):
            print(measure(kind, source, folder), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
