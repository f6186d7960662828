"""Racing against a full grid: how long does each take, and which configuration does it find?

    python benchmarks/search.py [MODEL ...] [--axes threads,graph,binding] [--turn-ms 30]

MODEL is an ONNX file, or one that is built: `blocks` (a chain of MatMul and Tanh), `mobilenet`
(MobileNetV2, images of 224 x 224) or `bert` (4 layers, width 512), these two by `transformers` with
random weights; without one the demo and `blocks`. Both methods search the same space of
ONNX Runtime's options, with the same turns and as many processes at once. In the grid every
combination has the effort that a race gives the arms that stay to its end (three launches of ten
rounds), beside the default; the best is that with the lowest latency over the default's. Where the
two find other configurations, these are then compared as in any run, in new processes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec

from benchmarks.models import DEMO, block_chain
from profiler import supervisor
from profiler.jobs import inspect_model
from profiler.search import racing
from profiler.search.descent import Descent
from profiler.search.planning import make_search_plan
from profiler.search.race import Race
from profiler.search.racing import Standing
from profiler.search.runner import new_context
from profiler.search.space import Configuration, Space, spaces
from profiler.session import Session
from profiler.types import (
    Capabilities,
    EngineKind,
    Event,
    RaceRound,
    RunPlan,
    SearchPlan,
    StoppingRule,
)

HEADER = """| model | method | configurations | processes | time, s | best | over the default |
|---|---|---|---|---|---|---|"""


def mobilenet(folder: Path) -> Path:
    from benchmarks import onnx_models

    return onnx_models.export(onnx_models.mobilenet(224), folder / "mobilenet.onnx", newer=True)


def bert(folder: Path) -> Path:
    from benchmarks import onnx_models

    model = onnx_models.bert(width=512, layers=4, heads=8, inner=2048)
    return onnx_models.export(model, folder / "bert.onnx", newer=True)


BUILT: dict[str, Callable[[Path], Path]] = {
    "blocks": lambda folder: block_chain(folder, 100),
    "mobilenet": mobilenet,
    "bert": bert,
}


class WithoutElimination(Race):
    """Every arm has every round."""

    def losers(self, found: Sequence[Standing]) -> list[Standing]:
        del found
        return []

    def decided(self, found: Sequence[Standing]) -> str:
        del found
        return ""

    def standings(self) -> tuple[Standing, ...]:
        """Nobody asks who leads before the end."""
        return ()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[str(DEMO), "blocks"])
    parser.add_argument("--axes", default="threads,graph,binding")
    parser.add_argument("--turn-ms", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=15.0, help="of the last comparison")
    arguments = parser.parse_args()
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            model = BUILT[name](Path(folder)) if name in BUILT else Path(name)
            compare(model, arguments.axes.split(","), arguments.turn_ms, arguments.seconds)
    return 0


def compare(model: Path, axes: Sequence[str], turn_ms: float, seconds: float) -> None:
    """Print a row a method, and the comparison of what they found."""
    here = Capabilities(execution_providers=(), cuda_devices=0)
    made = make_search_plan(inspect_model(model), here, engines=(EngineKind.ORT,))
    plan = msgspec.structs.replace(made, turn_ns=int(turn_ms * 1e6), budget_s=1e6)
    whole = spaces(plan)[0]
    space = Space(whole.family, whole.start, tuple(a for a in whole.axes if a.name in axes))
    race_s, by_race, ratio, arms, started = raced(plan, space)
    row(model, "race", arms, started, race_s, by_race, ratio)
    grid_s, by_grid, grid_ratio, count, grid_started = gridded(plan, space)
    row(model, "grid", count, grid_started, grid_s, by_grid, grid_ratio)
    print(f"\n{model.name}: the race took {grid_s / race_s:.1f} times less time; ", end="")
    if by_race.label == by_grid.label:
        print("both found the same\n", flush=True)
    else:
        print(f"{against(plan, by_grid, by_race, seconds)}\n", flush=True)


def raced(plan: SearchPlan, space: Space) -> tuple[float, Configuration, float, int, int]:
    """Seconds, the best, its latency over the default's, configurations, processes started."""
    with tempfile.TemporaryDirectory() as folder:
        context = new_context(plan, [space], Path(folder))
        descent, leaders = Descent(context, space, plan.model), dict[str, Configuration]()
        session, started = Session(), time.perf_counter()
        for event in descent.events(context.budget.end_s, leaders):
            session.apply(event)
        seconds = time.perf_counter() - started
    best = leaders[space.family]
    tried = {arm.label for race in session.search.races for arm in race.arms}
    rounds = [item for items in session.search.rounds.values() for item in items]
    default = space.default().label
    # Of the first race that both were in.
    found = (over(items, best.label, default) for items in session.search.rounds.values())
    ratio = next((value for value in found if value < float("inf")), float("inf"))
    return seconds, best, ratio, len(tried), processes(rounds)


def gridded(plan: SearchPlan, space: Space) -> tuple[float, Configuration, float, int, int]:
    """The same of a grid."""
    default, *others = space.grid()
    size = plan.at_once - 1
    found: list[tuple[float, Configuration]] = [(1.0, default)]
    rounds: list[RaceRound] = []
    with tempfile.TemporaryDirectory() as folder:
        context = new_context(plan, [space], Path(folder))
        started = time.perf_counter()
        for start in range(0, len(others), size):
            arms = [default, *others[start : start + size]]
            race = WithoutElimination(context, plan.model, "grid", arms, default.label)
            drain(race.events(context.budget.end_s))
            rounds += race.rounds
            found += [(over(race.rounds, arm.label, default.label), arm) for arm in arms[1:]]
        seconds = time.perf_counter() - started
    ratio, best = min(found, key=lambda item: item[0])
    return seconds, best, ratio, len(others) + 1, processes(rounds)


def over(rounds: Sequence[RaceRound], label: str, default: str) -> float:
    """Latency of one arm over that of another; infinite where it did not run."""
    if label == default:
        return 1.0
    standings = racing.standings(rounds, [default, label], comparisons=1, at_end=True)
    found = {standing.label: standing.ratio for standing in standings}
    leader = min(found.values(), default=0.0)
    if label not in found or not leader:
        return float("inf")
    # Standings refer to the faster of the two.
    return found[label] / found[default]


def processes(rounds: Iterable[RaceRound]) -> int:
    return len({(item.race, item.launch, arm) for item in rounds for arm in item.medians_ns})


def drain(events: Iterable[Event]) -> None:
    for _ in events:
        pass


def row(
    model: Path,
    method: str,
    configurations: int,
    started: int,
    seconds: float,
    best: Configuration,
    ratio: float,
) -> None:
    shown = f"{ratio:.3f}" if ratio < float("inf") else "–"
    cells = (model.stem, method, configurations, started, f"{seconds:.1f}", best.label, shown)
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def against(plan: SearchPlan, base: Configuration, other: Configuration, seconds: float) -> str:
    """The grid's best against the race's, in new processes."""
    run = RunPlan(
        model=plan.model,
        inputs=plan.inputs,
        engines=(base.spec, other.spec),
        baseline=base.label,
        stopping=StoppingRule(time_limit_s=seconds),
        traced_share=0.0,
        noise=plan.noise,
        lane_cpus=plan.lane_cpus,
    )
    session = Session()
    for event in supervisor.run(run):
        session.apply(event)
    found = session.comparisons()
    if not found:
        return "what they found could not be compared"
    c = found[0]
    return (
        f"the race's best is {c.speedup:.3f} times as fast as the grid's "
        f"[{c.low:.3f}–{c.high:.3f}]: {c.verdict.value}"
    )


if __name__ == "__main__":
    sys.exit(main())
