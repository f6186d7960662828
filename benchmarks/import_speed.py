"""Is the imported module as fast as the original, and what does the import of large files cost?

    python benchmarks/import_speed.py [--rounds 40] [ResNet-50] [ViT] [BERT] [GPT-2] [import]

A module is exported to ONNX and imported again; both are called in turn, in random order, and each
round gives one ratio of latencies. BERT, ViT and GPT-2 have base width and four layers. `import`
writes 500 MB of weights beside a model, and measures the import in a fresh process.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnx
import torch
import transformers as hf
from onnx import TensorProto, helper
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.onnx_models import Model, Wrapped, export
from profiler.onnx_torch import import_onnx
from profiler.stats import median_interval

LAYERS = 4
STEPS = 64
WEIGHTS, SIDE = 30, 2048
MIB = 2**20


def _tokens(model: Any, outputs: list[str], fixed: Any = None) -> Model:
    ids = torch.randint(0, 1000, (1, STEPS))
    names = ["input_ids", "attention_mask"]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return Model(Wrapped(model, names, outputs, fixed), inputs)


def resnet() -> Model:
    """With batch normalization folded into the convolutions, as the exporter does it."""
    model: Any = hf.ResNetForImageClassification(hf.ResNetConfig())
    model.eval()
    for layer in list(model.modules()):
        if hasattr(layer, "convolution") and hasattr(layer, "normalization"):
            fused = fuse_conv_bn_eval(layer.convolution, layer.normalization)
            layer.convolution, layer.normalization = fused, torch.nn.Identity()
    module = Wrapped(model, ["pixel_values"], ["logits"])
    return Model(module, {"pixel_values": torch.randn(1, 3, 224, 224)})


def vit() -> Model:
    model = hf.ViTForImageClassification(hf.ViTConfig(num_hidden_layers=LAYERS))
    module = Wrapped(model, ["pixel_values"], ["logits"])
    return Model(module, {"pixel_values": torch.randn(1, 3, 224, 224)})


def bert() -> Model:
    return _tokens(hf.BertModel(hf.BertConfig(num_hidden_layers=LAYERS)), ["last_hidden_state"])


def gpt2() -> Model:
    model = hf.GPT2Model(hf.GPT2Config(n_layer=LAYERS))
    return _tokens(model, ["last_hidden_state"], {"use_cache": False})


MODELS: dict[str, Callable[[], Model]] = {
    "ResNet-50": resnet,
    "ViT": vit,
    "BERT": bert,
    "GPT-2": gpt2,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("parts", nargs="*", default=[*MODELS, "import"])
    arguments = parser.parse_args()
    chosen = [name for name in MODELS if name in arguments.parts]
    if chosen:
        print("| model | original ms | imported / original |\n|---|---|---|")
    for name in chosen:
        print(round_trip(name, arguments.rounds), flush=True)
    if "import" in arguments.parts:
        print(large_import())
    return 0


def round_trip(name: str, rounds: int) -> str:
    """One row: the ratio's median and interval."""
    torch.manual_seed(0)
    model = MODELS[name]()
    tensors = tuple(model.inputs.values())
    with tempfile.TemporaryDirectory() as folder:
        imported = import_onnx(export(model, Path(folder) / "model.onnx", newer=True))
        with torch.inference_mode():
            expected, found = model.module(*tensors), imported(*tensors)
            assert torch.allclose(expected[0], found[0], rtol=1e-3, atol=1e-4)
            pairs = [paired(model.module, imported, tensors) for _ in range(rounds + 3)][3:]
    times = np.array(pairs)
    ratios = times[:, 1] / times[:, 0]
    low, high = median_interval(ratios)
    original = float(np.median(times[:, 0])) * 1e3
    return f"| {name} | {original:.1f} | {np.median(ratios):.3f} [{low:.3f}-{high:.3f}] |"


def paired(original: Any, imported: Any, tensors: tuple[torch.Tensor, ...]) -> list[float]:
    """Seconds of one call of each, in random order."""
    found = [0.0, 0.0]
    modules = (original, imported)
    for index in random.sample((0, 1), 2):
        started = time.perf_counter()
        modules[index](*tensors)
        found[index] = time.perf_counter() - started
    return found


def large_import() -> str:
    """A sentence on a model of 500 MB: seconds and memory, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = large_model(Path(folder))
        run = subprocess.run(
            [sys.executable, __file__, "--rounds", "0", f"child:{path}"],
            check=True,
            capture_output=True,
            text=True,
        )
        found = json.loads(run.stdout)
    size = WEIGHTS * SIDE * SIDE * 4 / 1e6
    return (
        f"{size:.0f} MB of external weights: imported in {found['seconds']:.2f} s; private memory "
        f"grew by {found['private_mib']:.0f} MiB, {found['after_mib']:.0f} MiB after a call."
    )


def large_model(folder: Path) -> Path:
    """A chain of matrix products with its weights in a file beside it."""
    nodes, weights, value = [], [], "x"
    rng = np.random.default_rng(0)
    matrix = (rng.standard_normal((SIDE, SIDE)) / np.sqrt(SIDE)).astype(np.float32)
    for number in range(WEIGHTS):
        weights.append(onnx.numpy_helper.from_array(matrix, f"w{number}"))
        nodes.append(helper.make_node("MatMul", [value, f"w{number}"], [f"m{number}"]))
        value = f"m{number}"
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, SIDE])]
    outputs = [helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, SIDE])]
    graph = helper.make_graph(nodes, "large", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = folder / "large.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="weights")
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
    before = private_bytes()
    started = time.perf_counter()
    module = import_onnx(path)
    seconds = time.perf_counter() - started
    grown = private_bytes() - before
    with torch.inference_mode():
        module(torch.randn(1, SIDE))
    after = private_bytes() - before
    print(
        json.dumps(
            {
                "seconds": seconds,
                "private_mib": grown / MIB,
                "after_mib": after / MIB,
                "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    )
    return 0


if __name__ == "__main__":
    child = next((a for a in sys.argv if a.startswith("child:")), "")
    sys.exit(measure_import(Path(child.removeprefix("child:"))) if child else main())
