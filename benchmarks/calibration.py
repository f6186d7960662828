"""Is the verdict right? Runs lanes whose true ratio is known, many times, in fresh processes.

    python benchmarks/calibration.py run aa --runs 100       # the same lane twice
    python benchmarks/calibration.py run ratio --runs 60     # 100 against 102, 105, 110, 150 blocks
    python benchmarks/calibration.py run ratio --blocks 105  # only against 105 blocks
    python benchmarks/calibration.py run load --runs 30      # both, with a load that comes and goes
    python benchmarks/calibration.py run sequential --runs 30    # blocks in sequence, mean / mean
    python benchmarks/calibration.py table                   # all that was measured so far, plots

Results are appended to `benchmarks/results/calibration.jsonl`, one line a run. Run it on a machine
that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import numpy as np

from benchmarks.models import equal_blocks
from profiler.compare import ENGINE_NAMES
from profiler.environment import describe_environment
from profiler.jobs import inspect_model
from profiler.lane import Lane
from profiler.model_file import identify
from profiler.plan import default_plan
from profiler.processes import processes
from profiler.session import Session
from profiler.supervisor import run as run_plan
from profiler.types import (
    EngineKind,
    EngineSpec,
    Load,
    Round,
    RunPlan,
    WarmupRule,
)

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "calibration.jsonl"
PLOTS = ROOT / "docs" / "plots"
# Rows of a block's operands: products that take long beside what starting two threads takes.
BLOCKS, ROWS = 100, 64
CANDIDATES = (102, 105, 110, 150)
ENGINES = (EngineKind.ORT, EngineKind.TORCH_EAGER)
WARMUP = WarmupRule(time_limit_s=2.0)
LOAD_ON_S, LOAD_OFF_S = (0.5, 4.0), (0.5, 6.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    measure = commands.add_parser("run")
    measure.add_argument("experiment", choices=sorted(EXPERIMENTS))
    measure.add_argument("--runs", type=int, default=20)
    measure.add_argument("--time-limit", type=float, default=60.0)
    measure.add_argument("--engine", choices=[engine.value for engine in ENGINES])
    measure.add_argument("--blocks", type=int, help="only the case with this number of blocks")
    measure.set_defaults(do=measure_runs)
    commands.add_parser("table").set_defaults(do=lambda _: print_table())
    arguments = parser.parse_args()
    return int(arguments.do(arguments) or 0)


# --- experiments ------------------------------------------------------------------------------


def plan_for(
    folder: Path, engine: EngineKind, blocks: int, seed: int, time_limit_s: float
) -> RunPlan:
    """Baseline: `BLOCKS` blocks; candidate: `blocks`. Without traced rounds, which have no say."""
    baseline = equal_blocks(folder, BLOCKS, rows=ROWS)
    candidate = identify(equal_blocks(folder, blocks, rows=ROWS))
    engines = [
        EngineSpec(label="baseline", engine=engine),
        EngineSpec(label="candidate", engine=engine, model=candidate),
    ]
    plan = default_plan(
        inspect_model(baseline),
        engines=engines,
        baseline="baseline",
        time_limit_s=time_limit_s,
        seed=seed,
    )
    return msgspec.structs.replace(plan, warmup=WARMUP, traced_share=0.0)


def interleaved(plan: RunPlan, blocks: int) -> dict[str, Any]:
    """One run by Dualscope itself."""
    session, started = Session(), time.monotonic()
    for event in run_plan(plan):
        session.apply(event)
    (found,) = session.comparisons()
    return {
        "method": "interleaved",
        "speedup": found.speedup,
        "low": found.low,
        "high": found.high,
        "verdict": found.verdict.value,
        "rounds": found.rounds,
        "launches": found.launches,
        "set_aside": found.set_aside,
        "mostly_disturbed": session.mostly_disturbed(),
        "true": BLOCKS / blocks,
        "reason": session.finished.reason if session.finished else "",
        "took_s": time.monotonic() - started,
        "processes": {label: process_figures(session.rounds[label]) for label in session.labels()},
    }


def process_figures(rounds: Sequence[Round]) -> list[tuple[float, float]]:
    """(p50 in ms, minor page faults a call) of each launch's timed turns."""
    return [(own.p50_ns / 1e6, own.faults) for own in processes(rounds)]


def sequential(plan: RunPlan, blocks: int) -> dict[str, Any]:
    """As most scripts do: one lane after the other, mean over mean, Welch's interval."""
    started, samples = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        for spec in plan.engines:
            model = spec.model or plan.model
            lane = Lane(spec, model, Path(folder) / spec.label, lambda: False)
            try:
                lane.request(
                    Load(spec=spec, model=model, inputs=plan.inputs, work_dir=str(lane.work_dir)),
                    120.0,
                )
                samples.append(_block(lane, plan.stopping.time_limit_s / 2))
            finally:
                lane.close()
    first, second = (np.array(values) for values in samples)
    low, high = _welch_ratio(first, second)
    return {
        "method": "sequential",
        "speedup": float(first.mean() / second.mean()),
        "low": low,
        "high": high,
        "verdict": "same" if low >= 0.98 and high <= 1.02 else _side(low, high),
        "rounds": 1,
        "launches": 1,
        "set_aside": 0,
        "mostly_disturbed": False,
        "true": BLOCKS / blocks,
        "reason": "",
        "took_s": time.monotonic() - started,
    }


def _side(low: float, high: float) -> str:
    return "faster" if low > 1 else "slower" if high < 1 else "unresolved"


def _block(lane: Lane, seconds: float) -> list[int]:
    """Ten calls to warm up, then as many as fit."""
    lane.infer(10, 120.0)
    latencies: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        latencies += lane.infer(lane.calls_in(200_000_000), 120.0).latencies_ns
    return latencies


def _welch_ratio(first: Any, second: Any) -> tuple[float, float]:
    """95 % interval of the ratio of means, by the delta method."""
    ratio = first.mean() / second.mean()
    spread = sum(v.var(ddof=1) / v.size / v.mean() ** 2 for v in (first, second))
    half = 1.96 * ratio * math.sqrt(spread)
    return float(ratio - half), float(ratio + half)


Method = Callable[[RunPlan, int], dict[str, Any]]


def _cases(experiment: str) -> list[tuple[int, Method]]:
    same: list[tuple[int, Method]] = [(BLOCKS, interleaved)]
    others: list[tuple[int, Method]] = [(blocks, interleaved) for blocks in CANDIDATES]
    in_sequence: list[tuple[int, Method]] = [(BLOCKS, sequential), (105, sequential)]
    if experiment.startswith("sequential"):
        return in_sequence
    return {"aa": same, "ratio": others, "load": [*same, *others]}[experiment]


EXPERIMENTS = ("aa", "ratio", "load", "sequential", "sequential-load")


def measure_runs(arguments: argparse.Namespace) -> None:
    """Cases and engines take turns, so that a slow hour of the machine hits all of them."""
    experiment, runs = arguments.experiment, arguments.runs
    engines = [engine for engine in ENGINES if arguments.engine in (None, engine.value)]
    cases = [
        (case, engine)
        for case in _cases(experiment)
        if arguments.blocks in (None, case[0])
        for engine in engines
    ]
    if not cases:
        raise SystemExit(f"{experiment} has no case with {arguments.blocks} blocks")
    RESULTS.parent.mkdir(exist_ok=True)
    done = sum(line["experiment"] == experiment for line in stored_results())
    with tempfile.TemporaryDirectory() as folder, load_if(experiment.endswith("load")):
        for number in range(runs):
            (blocks, method), engine = cases[(done + number) % len(cases)]
            seed = random.randrange(2**31)
            plan = plan_for(Path(folder), engine, blocks, seed, arguments.time_limit)
            result = method(plan, blocks)
            line = {
                "experiment": experiment,
                "engine": engine.value,
                "blocks": blocks,
                "rows": ROWS,
                "time_limit_s": arguments.time_limit,
                "machine": machine(),
                **result,
            }
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(
                f"{number + 1:3}/{runs} {engine.value:12} {blocks:3} blocks "
                f"{result['speedup']:.4f} [{result['low']:.4f}, {result['high']:.4f}] "
                f"true {result['true']:.4f} {result['verdict']:10} "
                f"{result['rounds']} rounds, {result['launches']} launches, "
                f"{result['took_s']:.0f} s",
                flush=True,
            )


def machine() -> str:
    """The CPU, not the machine's name."""
    found = describe_environment()
    return f"{found.get('cpu', platform.machine())}, {found['cores']}"


@contextmanager
def load_if(wanted: bool) -> Iterator[None]:
    """Another process that takes one core, now and then."""
    if not wanted:
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=come_and_go, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def come_and_go() -> None:
    """Busy and idle for random times."""
    chance = random.Random(0)
    while True:
        end = time.monotonic() + chance.uniform(*LOAD_ON_S)
        while time.monotonic() < end:
            np.linalg.inv(np.eye(64) * 2)
        time.sleep(chance.uniform(*LOAD_OFF_S))


# --- results ----------------------------------------------------------------------------------


def stored_results() -> list[dict[str, Any]]:
    """Every run so far, one dict a run."""
    if not RESULTS.exists():
        return []
    return [json.loads(text) for text in RESULTS.read_text("utf-8").splitlines()]


def print_table() -> None:
    """One row an experiment and ratio, in Markdown; and the plots."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for line in stored_results():
        groups.setdefault((line["experiment"], line["blocks"]), []).append(line)
    print(
        "| experiment | true ratio | runs | without interval | true ratio inside, of the others |"
        " called faster or slower | called right | median width | median time |"
    )
    print("|---" * 9 + "|")
    PLOTS.mkdir(parents=True, exist_ok=True)
    for (experiment, blocks), found in sorted(groups.items()):
        print(_row(experiment, blocks, found))
        name = f"calibration-{experiment}-{blocks}.svg"
        (PLOTS / name).write_text(caterpillar(found, f"{experiment}, {blocks} blocks"), "utf-8")


def _row(experiment: str, blocks: int, found: list[dict[str, Any]]) -> str:
    known = [line for line in found if math.isfinite(line["high"])]
    inside = sum(line["low"] <= line["true"] <= line["high"] for line in known)
    called = sum(line["verdict"] in ("faster", "slower") for line in found)
    right = {"same", "unresolved"} if blocks == BLOCKS else {"slower"}
    correct = sum(line["verdict"] in right for line in found)
    width = np.median([(line["high"] - line["low"]) / line["speedup"] for line in known])
    took = np.median([line["took_s"] for line in found])
    count = len(found)
    return (
        f"| {experiment} | {BLOCKS / blocks:.4f} | {count} | {count - len(known)} "
        f"| {inside} ({inside / max(len(known), 1):.0%}) "
        f"| {called} ({called / count:.0%}) | {correct} ({correct / count:.0%}) "
        f"| {width:.1%} | {took:.0f} s |"
    )


def caterpillar(found: list[dict[str, Any]], title: str) -> str:
    """Every run's interval as a line, sorted, the true ratio across; SVG."""
    found = sorted(found, key=lambda line: line["speedup"])
    width, row, left, top = 640, 6, 20, 34
    height = top + row * len(found) + 30
    true = found[0]["true"]
    reach = max(
        0.03,
        *(
            abs(line[end] - true)
            for line in found
            for end in ("low", "high")
            if math.isfinite(line[end])
        ),
    )
    reach = min(reach, 0.25) * 1.05

    def x(value: float) -> float:
        return float(left + (width - 2 * left) * (value - true + reach) / (2 * reach))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="16">{title}: intervals of {len(found)} runs; line: the truth</text>',
        f'<line x1="{x(true)}" x2="{x(true)}" y1="{top - 6}" y2="{height - 24}" stroke="#333"/>',
    ]
    for number, line in enumerate(found):
        y = top + row * number
        inside = line["low"] <= true <= line["high"]
        low, high = max(line["low"], true - reach), min(line["high"], true + reach)
        colour = {"ort": "#0072B2"}.get(line["engine"], "#E69F00") if inside else "#D55E00"
        parts.append(
            f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
            f'stroke-width="{2 if inside else 3}"/>'
            f'<circle cx="{x(line["speedup"]):.1f}" cy="{y}" r="2" fill="{colour}"/>'
        )
    for value in np.linspace(true - reach, true + reach, 7):
        parts.append(
            f'<text x="{x(value):.0f}" y="{height - 8}" text-anchor="middle">{value:.3f}</text>'
        )
    names = ", ".join(f"{ENGINE_NAMES[engine]}" for engine in ENGINES)
    parts.append(
        f'<text x="{width - left}" y="16" text-anchor="end" fill="#666">{names}; '
        "red: missed</text></svg>"
    )
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
