"""Is the imported module as fast as the original?

    python benchmarks/import_speed.py [--launches 4] [--rounds 30] [--layers 4] [ResNet-50] ...

A module is exported to ONNX and imported again. Each launch is a process of its own with the
original, the import, a second copy of the original, which shows what a ratio of equals looks like
here, and the graph that `torch.export` traces of the original, which never was ONNX: what that one
saves is layers of Python, and no doing of the import. Every round calls each of them in turns, in
random order, and gives one ratio. Beside them stands how many operators each dispatches.

BERT, ViT and GPT-2 have base width and `--layers` layers; parameters are random also where
`transformers` begins with zeros and ones, since the exporter leaves such out. The second sequence
is padded, since `transformers` drops a mask of ones at run time, which a graph can't. ResNet-50 has
three rows: the exporter folds batch normalization into the convolutions, "folded" is against a
module that has it folded as well, and for "as written" the exporter optimizes nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import transformers as hf
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.onnx_models import Model, Wrapped, export
from profiler.onnx_torch import import_onnx
from profiler.stats import launches_estimate

STEPS = 64
TURN_S = 0.06
WARMUP = 3
OTHERS = ("imported", "traced", "copy")


def _tokens(model: Any, outputs: list[str], fixed: Any = None) -> Model:
    ids = torch.randint(0, 1000, (2, STEPS))
    mask = torch.ones_like(ids)
    mask[1, STEPS * 3 // 4 :] = 0
    names = ["input_ids", "attention_mask"]
    return Model(Wrapped(model, names, outputs, fixed), dict(zip(names, (ids, mask), strict=True)))


def resnet(layers: int, *, folded: bool = False) -> Model:
    """As its author has it, or with batch normalization folded, as the exporter does it."""
    del layers
    model: Any = hf.ResNetForImageClassification(hf.ResNetConfig())
    model.eval()
    for layer in list(model.modules()):
        if folded and hasattr(layer, "convolution") and hasattr(layer, "normalization"):
            fused = fuse_conv_bn_eval(layer.convolution, layer.normalization)
            layer.convolution, layer.normalization = fused, torch.nn.Identity()
    module = Wrapped(model, ["pixel_values"], ["logits"])
    return Model(module, {"pixel_values": torch.randn(1, 3, 224, 224)})


def folded_resnet(layers: int) -> Model:
    return resnet(layers, folded=True)


# Files with the batch normalizations that the module has: the exporter folds them when it may.
AS_WRITTEN = "ResNet-50, as written"


def vit(layers: int) -> Model:
    model = hf.ViTForImageClassification(hf.ViTConfig(num_hidden_layers=layers))
    module = Wrapped(model, ["pixel_values"], ["logits"])
    return Model(module, {"pixel_values": torch.randn(1, 3, 224, 224)})


def bert(layers: int) -> Model:
    model = hf.BertModel(hf.BertConfig(num_hidden_layers=layers))
    return _tokens(model, ["last_hidden_state", "pooler_output"])


def gpt2(layers: int) -> Model:
    model = hf.GPT2Model(hf.GPT2Config(n_layer=layers))
    return _tokens(model, ["last_hidden_state"], {"use_cache": False})


MODELS: dict[str, Callable[[int], Model]] = {
    "ResNet-50": resnet,
    "ResNet-50, folded": folded_resnet,
    AS_WRITTEN: resnet,
    "ViT": vit,
    "BERT": bert,
    "GPT-2": gpt2,
}


def build(name: str, layers: int) -> Model:
    """The same each time."""
    torch.manual_seed(0)
    model = MODELS[name](layers)
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--launches", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's choice")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.file is not None:
        found = launch(arguments.models[0], arguments.layers, arguments.file, arguments.rounds)
        print(json.dumps(found))
        return 0
    print(f"| model | original ms | {' | '.join(f'{w} / original' for w in OTHERS)} | operators |")
    print("|---|---|---|---|---|---|")
    for name in arguments.models:
        print(row(name, arguments), flush=True)
    return 0


def row(name: str, arguments: argparse.Namespace) -> str:
    """Ratios over all launches with their intervals, and counts of operators."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(build(name, arguments.layers), path, newer=True, optimize=name != AS_WRITTEN)
        settings = [f"--{key}={getattr(arguments, key)}" for key in ("layers", "rounds", "threads")]
        command = [sys.executable, __file__, name, f"--file={path}", *settings]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(arguments.launches)
        ]
    cells = []
    for which in OTHERS:
        ratios = [np.array(run[which]) for run in runs]
        ratio, low, high = launches_estimate(ratios)
        cells.append(f"{ratio:.3f} [{low:.3f}-{high:.3f}]")
    original = float(np.median([run["original_ms"] for run in runs]))
    counts = " / ".join(str(count) for count in runs[0]["operators"])
    return f"| {name} | {original:.1f} | {' | '.join(cells)} | {counts} |"


def launch(name: str, layers: int, path: Path, rounds: int) -> dict[str, Any]:
    """In a child: the ratio of each round, and the original's median in ms."""
    model, copy = build(name, layers), build(name, layers)
    tensors = tuple(model.inputs.values())
    modules = (model.module, import_onnx(path), traced(build(name, layers)), copy.module)
    with torch.inference_mode():
        expected = [t.clone() for t in modules[0](*tensors)]
        for module in modules[1:]:
            for actual, wanted in zip(module(*tensors), expected, strict=True):
                torch.testing.assert_close(actual, wanted, rtol=1e-3, atol=1e-3)
        for module in modules * WARMUP:
            module(*tensors)
        calls = max(1, round(TURN_S / turn(modules[0], tensors, 1)))
        times = np.array([one_round(modules, tensors, calls) for _ in range(rounds)])
    return {
        "original_ms": float(np.median(times[:, 0])) * 1e3,
        **{which: list(times[:, n] / times[:, 0]) for n, which in enumerate(OTHERS, start=1)},
        "operators": [operators(module, tensors) for module in modules[:3]],
    }


def traced(model: Model) -> torch.nn.Module:
    """What torch.export makes of it."""
    program = torch.export.export(model.module, tuple(model.inputs.values()))
    return program.module(check_guards=False)


def one_round(modules: Any, tensors: tuple[torch.Tensor, ...], calls: int) -> list[float]:
    """Seconds a call of each; every module has a turn there and one on the way back."""
    order = random.sample(range(len(modules)), len(modules))
    spent = [0.0] * len(modules)
    for index in (*order, *reversed(order)):
        spent[index] += turn(modules[index], tensors, calls) / 2
    return spent


def turn(module: Any, tensors: tuple[torch.Tensor, ...], calls: int) -> float:
    """Median of the seconds of a few calls."""
    found = []
    for _ in range(calls):
        started = time.perf_counter()
        module(*tensors)
        found.append(time.perf_counter() - started)
    return float(np.median(found))


class _Counting(TorchDispatchMode):
    """Counts operators that reach a kernel or make a view."""

    def __init__(self) -> None:
        # See `profiler.engines.torch_values`.
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        self.count += 1
        return func(*args, **(kwargs or {}))


def operators(module: Any, tensors: tuple[torch.Tensor, ...]) -> int:
    with torch.no_grad(), _Counting() as counting:
        module(*tensors)
    return int(counting.count)


if __name__ == "__main__":
    sys.exit(main())
