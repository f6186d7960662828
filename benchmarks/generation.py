"""How fast each lane generates text: small GPT-2 and Llama with random weights, as a table.

    python benchmarks/generation.py [--time-limit SECONDS] [--model gpt2|llama] [--folder FOLDER]
    python benchmarks/generation.py --operators

Writes the models into FOLDER and keeps sessions there. For each model one run of ONNX Runtime, and
of PyTorch with a dynamic and a static cache and compiled, on the same tokens. With `--operators`
instead: where eager PyTorch's time for one new token goes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import msgspec

from profiler.generation.metrics import comparisons, generation_stats
from profiler.generation.plan import generation_plan
from profiler.generation.summary import size
from profiler.jobs import inspect_model
from profiler.lanes import parse_lane
from profiler.recorder import record
from profiler.session import Session

LANES = (
    "ONNX Runtime=ort",
    "eager, dynamic=torch-eager",
    "eager, static=torch-eager,cache=static",
    "compile, static=torch-compile,cache=static",
)
PROMPT, STEPS = 128, 10
VOCABULARY, WIDTH, LAYERS, HEADS, CACHE_HEADS, POSITIONS = 32_000, 512, 6, 8, 4, 1024


def save_model(name: str, folder: Path) -> Path:
    """About 35 million parameters, saved as transformers does it."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    path = folder / name
    if path.exists():
        return path
    torch.manual_seed(0)
    model: Any
    if name == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=VOCABULARY,
                n_positions=POSITIONS,
                n_embd=WIDTH,
                n_layer=LAYERS,
                n_head=HEADS,
            )
        )
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=WIDTH,
                intermediate_size=4 * WIDTH,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                num_key_value_heads=CACHE_HEADS,
                max_position_embeddings=POSITIONS,
                tie_word_embeddings=True,
            )
        )
    model.save_pretrained(path)
    return path


def measure(path: Path, session_path: Path, time_limit_s: float) -> Session:
    """One run of all lanes."""
    # A label may hold a comma here, which the command line's grammar doesn't allow.
    engines = [parse_lane(text.partition("=")[2], generation=True) for text in LANES]
    named = [text.partition("=")[0] for text in LANES]
    plan = generation_plan(
        inspect_model(path),
        prompt_tokens=PROMPT,
        new_tokens=32,
        engines=[
            msgspec.structs.replace(spec, label=label)
            for spec, label in zip(engines, named, strict=True)
        ],
        baseline=named[1],
        time_limit_s=time_limit_s,
    )
    session = Session()
    for event in record(plan, session_path, cancelled=lambda: False):
        session.apply(event)
    return session


def operators(path: Path) -> str:
    """Markdown: time of each operator in a step of eager PyTorch after the prompt, mean of ten."""
    import torch
    from torch.profiler import ProfilerActivity, profile
    from transformers import DynamicCache

    from profiler.generation.causal_models import cache_argument, load_causal_model

    model: Any = load_causal_model(path, torch.float32, "sdpa")
    cache = {cache_argument(model): DynamicCache(config=model.config)}
    token = torch.zeros(1, 1, dtype=torch.int64)
    with torch.inference_mode():
        model(input_ids=token.expand(1, PROMPT), use_cache=True, logits_to_keep=1, **cache)
        for _ in range(STEPS):
            model(input_ids=token, use_cache=True, logits_to_keep=1, **cache)
        with profile(activities=[ProfilerActivity.CPU]) as found:
            for _ in range(STEPS):
                model(input_ids=token, use_cache=True, logits_to_keep=1, **cache)
    events = sorted(found.key_averages(), key=lambda e: -e.self_cpu_time_total)
    whole = sum(e.self_cpu_time_total for e in events)
    lines = ["| operator | calls | ms | share |", "|---|---|---|---|"]
    for event in events[:6]:
        own = event.self_cpu_time_total
        ms = own / STEPS / 1e3
        lines.append(f"| {event.key} | {event.count // STEPS} | {ms:.2f} | {own / whole:.0%} |")
    read = sum(p.nbytes for p in model.parameters())
    return "\n".join(
        [*lines, f"| all | | {whole / STEPS / 1e3:.2f} | weights {read / 1e6:.0f} MB |"]
    )


def table(session: Session) -> str:
    """Markdown: a row a lane."""
    ratios: dict[tuple[str, str], str] = {}
    for metric in ("ttft", "itl"):
        for c in comparisons(session, metric):
            ratios[c.candidate, metric] = f"{c.speedup:.2f} [{c.low:.2f}–{c.high:.2f}]"
    lines = [
        "| lane | TTFT p50, ms | against eager | ITL p50, ms | p99 | against eager | decode/s "
        "| cache |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for label in session.labels():
        found = generation_stats(session, label)
        if found is None:
            failure = session.failures.get(label)
            lines.append(f"| {label} | {failure.message if failure else 'not measured'} |")
            continue
        lines.append(
            f"| {label} | {found.ttft.p50 / 1e6:.1f} | {ratios.get((label, 'ttft'), '')} "
            f"| {found.itl.p50 / 1e6:.2f} | {found.itl.p99 / 1e6:.2f} "
            f"| {ratios.get((label, 'itl'), '')} | {found.decode_tokens_per_s:.0f} "
            f"| {size(found.cache_bytes)} |"
        )
    agree = {o.candidate: max(d.max_abs for d in o.differences) for o in session.outputs}
    lines.append("")
    lines.append(f"largest difference of logits: {max(agree.values(), default=0.0):.2g}")
    lines.append(
        f"rounds {session.timed_rounds()}, set aside {len(session.set_aside())}, launches "
        f"{len(set(session.launches.values()))}"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--model", choices=("gpt2", "llama"), action="append")
    parser.add_argument("--folder", type=Path, default=Path("generation-models"))
    parser.add_argument("--operators", action="store_true")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.model or ("gpt2", "llama"):
        path = save_model(name, arguments.folder)
        if arguments.operators:
            print(f"\n{name}:\n\n{operators(path)}")
            continue
        target = arguments.folder / f"{name}-{time.strftime('%H%M%S')}.dualscope"
        session = measure(path, target, arguments.time_limit)
        print(f"\n{name}:\n\n{table(session)}\n{session.verdict()}")


if __name__ == "__main__":
    main()
