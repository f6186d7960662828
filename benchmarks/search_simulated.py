"""Racing against a full grid on simulated engines, where the truth is known.

    python benchmarks/search_simulated.py [--landscapes 6] [--seed 0]

The search's own code, on a clock that advances only while a simulated lane works. Each landscape
draws what every choice of ONNX Runtime's axes (two cores, all axes) costs or gains, with
interactions between axes; a tenth of the choices matter much. Processes of one configuration differ
by 1 %, rounds by 2 %; a process takes 1.2 s to load, a call 5 ms by default. The grid gives every
combination three launches of ten rounds beside the default. Printed: simulated seconds, and the
true latency of what was found over that of the truly best combination.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.search import WithoutElimination, drain, over
from profiler import lane
from profiler.outputs import save_outputs
from profiler.search.descent import Descent
from profiler.search.race import Context
from profiler.search.runner import new_context
from profiler.search.space import Configuration, Space, spaces
from profiler.types import (
    AnyCommand,
    AnyReply,
    EngineKind,
    EngineSpec,
    Infer,
    Latencies,
    Load,
    Loaded,
    ModelKind,
    ModelSource,
    NoiseRule,
    OutputsSaved,
    SaveOutputs,
    SearchPlan,
)

LOAD_S, CALL_NS = 1.2, 5_000_000
LAUNCH_SPREAD, ROUND_NOISE = 0.01, 0.02


class Landscape:
    """True latencies: a factor a choice, and one a pair of choices on different axes."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.random = np.random.default_rng(seed)
        self._alone: dict[tuple[int, int], float] = {}
        self._pairs: dict[tuple[int, int, int, int], float] = {}
        for axis, found in enumerate(space.axes):
            for pick in range(1, len(found.choices)):
                wide = 0.4 if self.random.random() < 0.1 else 0.06
                self._alone[axis, pick] = float(self.random.normal(0.0, wide))
        for (axis, pick), _ in self._alone.items():
            for (other, choice), _ in self._alone.items():
                if axis < other:
                    self._pairs[axis, pick, other, choice] = float(self.random.normal(0.0, 0.01))

    def latency_ns(self, made: Configuration) -> float:
        picks = [(axis, pick) for axis, pick in enumerate(made.picks) if pick]
        log = sum(self._alone[item] for item in picks)
        log += sum(
            self._pairs[(*first, *second)] for first in picks for second in picks if first < second
        )
        return CALL_NS * math.exp(log)


class World:
    """Stands in for the class of engine processes; `now_s` is its clock."""

    def __init__(self, landscape: Landscape) -> None:
        self.landscape = landscape
        self.now_s = 0.0
        self.started = 0
        self.latency_ns = {
            made.label: landscape.latency_ns(made) for made in landscape.space.grid()
        }

    def __call__(self, spec: EngineSpec, work_dir: Path, launch: int = 0) -> SimulatedProcess:
        del work_dir, launch
        self.started += 1
        return SimulatedProcess(spec, self)


class SimulatedProcess:
    """One launch of a lane: its own level, and noise a turn."""

    def __init__(self, spec: EngineSpec, world: World) -> None:
        self.pid, self.alive = 1, True
        self._world = world
        level = math.exp(world.landscape.random.normal(0.0, LAUNCH_SPREAD))
        self._latency_ns = world.latency_ns[spec.label] * level
        self._reply: AnyReply | None = None

    def send(self, command: AnyCommand) -> None:
        match command:
            case Load():
                self._world.now_s += LOAD_S
                self._reply = Loaded(
                    load_time_ns=1, first_iteration_ns=1, engine_version="", output_names=("y",)
                )
            case Infer(iterations=iterations):
                noise = self._world.landscape.random.normal(0.0, ROUND_NOISE)
                value = int(self._latency_ns * math.exp(noise))
                self._world.now_s += value * iterations / 1e9
                self._reply = Latencies(
                    started_ns=0,
                    latencies_ns=(value,) * iterations,
                    cpu_time_ns=0,
                    peak_rss_bytes=1,
                )
            case SaveOutputs(path=path):
                save_outputs(Path(path), [np.ones(1, np.float32)])
                self._reply = OutputsSaved(path=path)

    def receive(self, timeout_s: float) -> AnyReply | None:
        del timeout_s
        reply, self._reply = self._reply, None
        return reply

    def log_lines(self) -> list[str]:
        return []

    def log_tail(self, count: int = 20) -> tuple[str, ...]:
        del count
        return ()

    def ask_to_leave(self) -> None:
        self.alive = False

    def close(self, timeout_s: float = 2.0) -> None:
        del timeout_s
        self.alive = False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--landscapes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    source = ModelSource(path="m.onnx", kind=ModelKind.ONNX, sha256="", size_bytes=1)
    plan = SearchPlan(
        model=source,
        inputs=(),
        engines=(EngineKind.ORT,),
        cores=2,
        budget_s=1e6,
        # Simulated lanes take no CPU: what this process takes is no disturbance.
        noise=NoiseRule(foreign_cpu_share=1.0, steal_share=1.0),
    )
    space = spaces(plan)[0]
    print("| landscape | method | processes | simulated s | found over the truly best |")
    print("|---|---|---|---|---|")
    saved: list[float] = []
    lost: dict[str, list[float]] = {"race": [], "grid": []}
    for number in range(arguments.landscapes):
        seconds = {}
        for method, run in (("race", raced), ("grid", gridded)):
            world = World(Landscape(space, arguments.seed + number))
            best = run(plan, space, world)
            least = min(world.latency_ns.values())
            regret = world.latency_ns[best.label] / least
            seconds[method] = world.now_s
            lost[method].append(regret)
            cells = (number, method, world.started, f"{world.now_s:.0f}", f"{regret:.3f}")
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
        saved.append(seconds["grid"] / seconds["race"])
    print(
        f"\n{len(list(space.grid()))} combinations. The race takes {min(saved):.1f} to "
        f"{max(saved):.1f} times less time (median {median(saved):.1f}). Found over the truly "
        f"best, median and worst: race {median(lost['race']):.3f}, {max(lost['race']):.3f}; "
        f"grid {median(lost['grid']):.3f}, {max(lost['grid']):.3f}"
    )
    return 0


def raced(plan: SearchPlan, space: Space, world: World) -> Configuration:
    leaders: dict[str, Configuration] = {}
    with tempfile.TemporaryDirectory() as folder:
        context = _context(plan, space, world, Path(folder))
        drain(Descent(context, space, plan.model).events(context.budget.end_s, leaders))
    return leaders[space.family]


def gridded(plan: SearchPlan, space: Space, world: World) -> Configuration:
    default, *others = space.grid()
    size = plan.at_once - 1
    found: list[tuple[float, str, Configuration]] = [(1.0, default.label, default)]
    with tempfile.TemporaryDirectory() as folder:
        context = _context(plan, space, world, Path(folder))
        for start in range(0, len(others), size):
            arms: Sequence[Configuration] = [default, *others[start : start + size]]
            race = WithoutElimination(context, plan.model, "grid", arms, default.label)
            drain(race.events(context.budget.end_s))
            found += [(over(race.rounds, a.label, default.label), a.label, a) for a in arms[1:]]
    return min(found, key=lambda item: item[:2])[2]


def _context(plan: SearchPlan, space: Space, world: World, folder: Path) -> Context:
    vars(lane)["EngineProcess"] = world
    return new_context(plan, [space], folder, clock=lambda: world.now_s)


if __name__ == "__main__":
    sys.exit(main())
