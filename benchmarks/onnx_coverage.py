"""What the PyTorch import takes: ONNX's operator tests, and real models in the forms people have.

    python benchmarks/onnx_coverage.py [operators] [models] [--only ResNet] [--only Silero] ...

Prints Markdown. Beside the import, `onnx2torch` and `onnx2pytorch` run the operator tests when they
are installed. `models` takes some minutes; `--only` chooses among them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import logging
import sys
import tempfile
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnx
import torch

from benchmarks.node_cases import Case, Importer, Outcome, load_cases, run_case
from benchmarks.onnx_checks import FORMS, Check, Feeds, check, forms
from benchmarks.onnx_models import MODELS, OLDER, build, export
from profiler.onnx_torch import import_onnx

SILERO = "Silero"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["operators", "models"])
    parser.add_argument("--only", action="append", choices=[*MODELS, SILERO], default=[])
    arguments = parser.parse_args()
    parts = arguments.parts
    warnings.simplefilter("ignore")
    if "operators" in parts:
        operators()
    if "models" in parts:
        models(arguments.only or [*MODELS, SILERO])
    return 0


def importers() -> Iterator[tuple[str, Importer]]:
    yield "Dualscope", import_onnx
    _stand_in_torchvision()
    if importlib.util.find_spec("onnx2torch"):
        convert = importlib.import_module("onnx2torch").convert
        yield "onnx2torch", lambda path: _module(convert(str(path)))
    if importlib.util.find_spec("onnx2pytorch"):
        wrap = importlib.import_module("onnx2pytorch").ConvertModel
        yield "onnx2pytorch", lambda path: _module(wrap(onnx.load(str(path))))


def _module(module: Any) -> Callable[..., Any]:
    found: Callable[..., Any] = module.eval()
    return found


def _stand_in_torchvision() -> None:
    """Both import it, for a few operators of detectors and images."""
    if importlib.util.find_spec("torchvision"):
        return
    package = types.ModuleType("torchvision")
    package.__path__ = []
    names = {
        "ops": ("nms", "roi_align", "box_convert", "deform_conv2d", "roi_pool"),
        "io": ("ImageReadMode", "decode_image"),
    }
    for name, functions in names.items():
        inner = types.ModuleType(f"torchvision.{name}")
        for function in functions:
            setattr(inner, function, None)
        setattr(package, name, inner)
        sys.modules[f"torchvision.{name}"] = inner
    sys.modules["torchvision"] = package


def operators() -> None:
    cases = load_cases()
    plain = [case for case in cases if case.is_plain]
    print(f"{len(cases)} operator tests of onnx {onnx.__version__} with tensors of numbers in and")
    print(f"out; PyTorch has all types of {len(plain)}. Every input comes at run time.\n")
    print("| importer | tests | " + " | ".join(outcome.value for outcome in Outcome) + " |")
    print("|---|---|" + "---|" * len(Outcome))
    for name, importer in importers():
        for title, chosen in (("all", cases), ("PyTorch's types", plain)):
            counts = _counted(chosen, importer)
            cells = " | ".join(str(counts[outcome]) for outcome in Outcome)
            print(f"| {name} | {title}: {len(chosen)} | {cells} |", flush=True)
    print()


def _counted(cases: Any, importer: Importer) -> Counter[Outcome]:
    found: Counter[Outcome] = Counter()
    for case in cases:
        found[_quietly(case, importer)] += 1
    return found


def _quietly(case: Case, importer: Importer) -> Outcome:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return run_case(case, importer)[0]


def models(chosen: list[str]) -> None:
    print("yes: imports, equals ONNX Runtime, exports (torch.export), compiles to one graph.\n")
    print(f"| model | {' | '.join(FORMS)} |")
    print("|---|" + "---|" * len(FORMS))
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        for name, path, feeds in files(Path(folder), chosen):
            cells = [
                file if isinstance(file, str) else told(check(file, feeds))
                for _, file in forms(path, feeds, Path(folder))
            ]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def files(folder: Path, chosen: list[str]) -> Iterator[tuple[str, Path, Feeds]]:
    """(name, file, inputs) of each real model."""
    for name in (name for name in MODELS if name in chosen):
        for newer in (True, False) if name in OLDER else (True,):
            model = build(name)
            label = f"{name}, {'newer' if newer else 'older'} exporter"
            path = folder / f"{len(label)}-{abs(hash(label))}.onnx"
            export(model, path, newer=newer)
            yield label, path, {n: t.numpy() for n, t in model.inputs.items()}
    if SILERO in chosen:
        yield from silero_files()


def silero_files() -> Iterator[tuple[str, Path, Feeds]]:
    """All that the installed package brings, at 16 kHz with the window it was trained for."""
    found = importlib.util.find_spec("silero_vad")
    if found is None or found.origin is None:
        return
    for path in sorted((Path(found.origin).parent / "data").glob("*.onnx")):
        yield path.stem, path, silero_feeds(path)


def silero_feeds(path: Path) -> Feeds:
    rng = np.random.default_rng(0)
    feeds: Feeds = {}
    for value in onnx.load(str(path), load_external_data=False).graph.input:
        sizes = [int(d.dim_value) for d in value.type.tensor_type.shape.dim]
        if value.name == "sr":
            feeds["sr"] = np.array(16000)
        elif value.name == "input":
            feeds["input"] = rng.standard_normal((1, 576)).astype(np.float32)
        else:
            shape = [size or 1 for size in sizes]
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32)
    return feeds


def told(found: Check) -> str:
    """ "yes", or what a file does not do."""
    if found.imported:
        return _cell(found.imported)
    parts = [found.equal]
    if found.data_dependent and found.exported and found.compiled:
        parts.append(f"no one graph: branches on data in {', '.join(found.data_dependent)}")
    else:
        parts += [f"no export: {found.exported}"] if found.exported else []
        parts += [f"no one graph: {found.compiled}"] if found.compiled else []
    return _cell("; ".join(filter(None, parts))) or "yes"


def _cell(text: str) -> str:
    return text.replace("|", "/")


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
