"""The part of a program that runs a model in PyTorch, as `profiler/engines/torch_*.py` do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from profiler import freed_memory, pickle_safety
from profiler.types import EngineKind, EngineSpec, ModelKind, ModelSource

IMPORTS = """import os
import time
from pathlib import Path

# As it was measured: for how many milliseconds threads of LLVM's or Intel's OpenMP spin.
os.environ.setdefault("KMP_BLOCKTIME", "10")

import numpy as np
import torch"""

FLATTEN = '''def flatten(value):
    """Tensors of a nest of tuples, lists and mappings, depth first."""
    if isinstance(value, torch.Tensor):
        return [value]
    if hasattr(value, "values"):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in flatten(item)]
    return []


def to_arrays(outputs):
    tensors = [t.float() if t.dtype is torch.bfloat16 else t for t in flatten(outputs)]
    return [tensor.detach().cpu().numpy() for tensor in tensors]


def to_tensor(array):
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))


'''

# The names that `--lane` takes; "int8" is quantized, not cast.
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
QUANTIZED = "torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)"

IN_ORDER = """
    order = list(inspect.signature(model.forward).parameters)
    if names != order[: len(names)] and set(names) <= set(order):
        model = ByName(model, names)"""

BY_NAME = '''class ByName(torch.nn.Module):
    """Gives inputs by their names, where the model's order is another."""

    def __init__(self, module, names):
        super().__init__()
        self.module, self.names = module, names

    def forward(self, *inputs):
        return self.module(**dict(zip(self.names, inputs)))


'''


# A trainer may have saved a mapping with the module in it.
MODULE_IN = (
    'names_of_it = ("ema", "model", "module", "net", "state")',
    "if not isinstance(loaded, torch.nn.Module):",
    "    found = [loaded.get(name) for name in (*names_of_it, *loaded)]",
    "    loaded = next(item for item in found if isinstance(item, torch.nn.Module))",
    "model = loaded.eval()",
)


# The C library keeps freed memory for the next call: as `profiler/freed_memory.py`.
KEEP_MEMORY = (
    "import ctypes",
    f"for parameter, value in {freed_memory.SETTINGS}:",
    "    ctypes.CDLL(None).mallopt(parameter, value)",
)


def imports(spec: EngineSpec) -> str:
    del spec
    return "import inspect\n" + IMPORTS


def engine(spec: EngineSpec, model: ModelSource, names: Sequence[str], threads: int) -> str:
    """`make_call`: the module with the lane's options."""
    lines = list(KEEP_MEMORY) if spec.options.get("keep_memory") else []
    intra = int(spec.options.get("intra_op_threads", 0) or threads)
    inter = int(spec.options.get("inter_op_threads", 0))
    if intra:
        lines.append(f"torch.set_num_threads({intra})")
    if inter:
        lines.append(f"torch.set_num_interop_threads({inter})")
    by_order = model.kind is ModelKind.PICKLED_MODULE
    lines += [f"names = {list(names)!r}", *_load(model)]
    body = "\n".join(f"    {line}" for line in lines)
    body += IN_ORDER if by_order else ""
    synchronize = (
        f"\n        torch.cuda.synchronize({spec.device!r})" if spec.device != "cpu" else ""
    )
    prepared = "\n".join(f"    {line}" for line in _prepared(spec, model))
    return f'''{FLATTEN}{BY_NAME if by_order else ""}def make_call(inputs):
    """A function that runs the model once, and one that makes arrays of what it returns."""
{body}
    model.to({spec.device!r})
    tensors = [to_tensor(inputs[name]).to({spec.device!r}) for name in names]
{prepared}
    torch.inference_mode().__enter__()

    def call():
        outputs = model(*tensors){synchronize}
        return outputs

    return call, to_arrays
'''


def _load(model: ModelSource) -> list[str]:
    path = Path(model.path)
    place = f"FOLDER / {path.name!r}"
    match model.kind:
        case ModelKind.TORCHSCRIPT:
            return [f'model = torch.jit.load(str({place}), map_location="cpu").eval()']
        case ModelKind.TORCH_EXPORT:
            return [f"model = torch.export.load({place}).module()"]
        case ModelKind.AOT_INDUCTOR:
            return [
                "from torch._inductor import aoti_load_package",
                "model = torch.nn.Module()",
                f"model.forward = aoti_load_package(str({place}))",
            ]
    if model.trusted:
        return [
            "# Runs code that the file names: only for files that you trust.",
            "import sys",
            "sys.path.insert(0, str(FOLDER))",
            f'loaded = torch.load({place}, map_location="cpu", weights_only=False)',
            *MODULE_IN,
        ]
    parts = sorted({".".join(found) for found in pickle_safety.module_parts(path)})
    names = ", ".join(parts)
    return [
        f"with torch.serialization.safe_globals([{names}]):",
        f'    loaded = torch.load({place}, map_location="cpu", weights_only=True)',
        *MODULE_IN,
    ]


def _prepared(spec: EngineSpec, model: ModelSource) -> list[str]:
    """What the engine does to the module before the first call."""
    lines = []
    if precision := spec.options.get("precision"):
        lines += _cast(str(precision))
    if model.kind is ModelKind.TORCHSCRIPT and spec.engine is not EngineKind.TORCH_SCRIPT:
        lines += [
            "from torch._export.converter import TS2EPConverter",
            "with torch.no_grad():",
            "    model = TS2EPConverter(model, tuple(tensors)).convert().module()",
        ]
    if spec.engine is EngineKind.TORCH_SCRIPT:
        if model.kind is not ModelKind.TORCHSCRIPT:
            lines += ["with torch.no_grad():", "    model = torch.jit.trace(model, tuple(tensors))"]
        if spec.options.get("freeze"):
            lines.append("model = torch.jit.freeze(model.eval())")
    if spec.engine is EngineKind.TORCH_COMPILE:
        chosen = [f"{n}={spec.options[n]!r}" for n in ("mode", "dynamic") if n in spec.options]
        lines.append(f"model = torch.compile({', '.join(['model', *chosen])})")
    return lines


def _cast(precision: str) -> list[str]:
    """As `torch_precision`: weights and inputs cast, or linear layers quantized."""
    if precision not in DTYPES:
        return [f"model = {QUANTIZED}"]
    return [
        f"dtype = torch.{DTYPES[precision]}",
        "model.to(dtype)",
        "tensors = [t.to(dtype) if t.is_floating_point() else t for t in tensors]",
    ]
