"""The part of a program that runs a model in ONNX Runtime, as `profiler/engines/ort.py` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from profiler.types import EngineSpec, ModelSource

LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

CALL = """
    names = [item.name for item in session.get_inputs() if item.name in inputs]
    feeds = {name: inputs[name] for name in names}

    def call():
        return session.run(None, feeds)

    return call, list"""

BOUND = """
    binding = session.io_binding()
    for item in session.get_inputs():
        if item.name in inputs:
            value = onnxruntime.OrtValue.ortvalue_from_numpy(
                inputs[item.name], "{kind}", {index}
            )
            binding.bind_ortvalue_input(item.name, value)
    for item in session.get_outputs():
        binding.bind_output(item.name, "{kind}", {index})

    def call():
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding

    return call, lambda bound: bound.copy_outputs_to_cpu()"""


def imports(spec: EngineSpec) -> str:
    del spec
    return "import time\nfrom pathlib import Path\n\nimport numpy as np\nimport onnxruntime"


def engine(spec: EngineSpec, model: ModelSource, names: Sequence[str], threads: int) -> str:
    """`make_call`: a session with the lane's options."""
    del names
    kind, _, index = spec.device.partition(":")
    provider = spec.options.get("execution_provider", PROVIDERS[kind])
    wanted = f'("{provider}", {{"device_id": {int(index or 0)}}})'
    providers = wanted if "CUDA" in str(provider) else f'"{provider}"'
    bound = spec.options.get("io_binding", kind != "cpu")
    call = BOUND.format(kind=kind, index=int(index or 0)) if bound else CALL
    lines = "\n".join(f"    {line}" for line in _options(spec, threads))
    name = Path(model.path).name
    return f'''def make_call(inputs):
    """A function that runs the model once, and one that makes arrays of what it returns."""
    options = onnxruntime.SessionOptions()
{lines}
    session = onnxruntime.InferenceSession(
        str(FOLDER / {name!r}), options, providers=[{providers}]
    )
{call}
'''


def _options(spec: EngineSpec, threads: int) -> list[str]:
    chosen = spec.options
    level = LEVELS[str(chosen.get("graph_optimization_level", "all"))]
    mode = str(chosen.get("execution_mode", "sequential")).upper()
    intra = int(chosen.get("intra_op_threads", 0) or threads)
    spin = int(bool(chosen.get("allow_spinning", True)))
    stop = int(bool(chosen.get("stop_spinning", False)))
    lines = [
        "# Threads within an operator; 0: one a core.",
        f"options.intra_op_num_threads = {intra}",
        f"options.inter_op_num_threads = {int(chosen.get('inter_op_threads', 0))}",
        f"options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.{level}",
        f"options.execution_mode = onnxruntime.ExecutionMode.ORT_{mode}",
        f'options.add_session_config_entry("session.intra_op.allow_spinning", "{spin}")',
        "# Whether threads stop spinning when a call ends.",
        f'options.add_session_config_entry("session.force_spinning_stop", "{stop}")',
    ]
    for name, attribute in (
        ("memory_arena", "enable_cpu_mem_arena"),
        ("memory_pattern", "enable_mem_pattern"),
    ):
        if name in chosen:
            lines.append(f"options.{attribute} = {bool(chosen[name])}")
    for pair in filter(None, str(chosen.get("free_dimensions", "")).split(";")):
        dimension, _, size = pair.rpartition(":")
        lines.append(f"options.add_free_dimension_override_by_name({dimension!r}, {int(size)})")
    return lines
