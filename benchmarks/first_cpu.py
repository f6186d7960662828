"""Does beginning a turn on the first CPU change what small products cost, and their ratio?

    python benchmarks/first_cpu.py [--processes 4] [--seconds 9] [--rows 8]

In each of a few fresh processes PyTorch runs 100, 105 and 200 blocks of [rows, 192] by [192, 192]
and Tanh in turns of 40 ms, in random order: with one thread and with two, with
`placement.begin_on_first_cpu` before the turn and without. Printed for each process, from paired
turns: the p50 of 100 blocks, the other two over it (truly 1.05 and 2), how many CPUs the process
took, the share of calls beyond 1.25 times their turn's p50, in how many turns the calling thread
was on the first CPU beforehand (Linux tells), and the latency with that step over the one without.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from msgspec import Struct

from profiler.aligned import aligned
from profiler.placement import begin_on_first_cpu
from profiler.rest import wait_for_rest
from profiler.types import LEAD_IN_NS

WIDTH, BLOCKS, TURN_NS = 192, (100, 105, 200), 40_000_000


class Turn(Struct, frozen=True, kw_only=True):
    """`cpus`: CPU time of the process over the turn's length. `slow_calls`: the share of calls that
    took more than 1.25 times the p50. `was_first`: whether the calling thread was on the first CPU
    beforehand.
    """

    process: int
    round: int
    blocks: int
    threads: int
    first_cpu: bool
    p50_ns: float
    cpus: float
    slow_calls: float
    was_first: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=9.0, help="of each process")
    parser.add_argument("--rows", type=int, default=8)
    arguments = parser.parse_args()
    context, turns = multiprocessing.get_context("spawn"), list[Turn]()
    for number in range(arguments.processes):
        ours, theirs = context.Pipe()
        wanted = (number, arguments.seconds, arguments.rows, theirs)
        process = context.Process(target=measure, args=wanted, daemon=True)
        process.start()
        turns += ours.recv()
        process.join()
    print_table(turns)
    return 0


def measure(process: int, seconds: float, rows: int, connection: Connection) -> None:
    """In a process of its own: sends a list of turns."""
    import torch

    values = np.random.default_rng(process)
    matrix = values.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
    w = torch.from_numpy(aligned(matrix.astype(np.float32)))
    x = torch.from_numpy(aligned(values.standard_normal((rows, WIDTH)).astype(np.float32)))

    def call(blocks: int) -> None:
        value = x
        for _ in range(blocks):
            value = torch.tanh(torch.matmul(value, w))

    chance, turns, number = random.Random(process), list[Turn](), 0
    first_cpu = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else -1
    kinds = [(b, t, first) for b in BLOCKS for t in (1, 2) for first in (True, False)]
    end = time.monotonic() + seconds
    with torch.inference_mode():
        while time.monotonic() < end:
            chance.shuffle(kinds)
            for blocks, threads, first in kinds:
                torch.set_num_threads(threads)
                was_first = _cpu() == first_cpu
                latencies, cpus = _turn(call, blocks, first)
                p50_ns = median(latencies)
                turns.append(
                    Turn(
                        process=process,
                        round=number,
                        blocks=blocks,
                        threads=threads,
                        first_cpu=first,
                        p50_ns=p50_ns,
                        cpus=cpus,
                        slow_calls=sum(v > 1.25 * p50_ns for v in latencies) / len(latencies),
                        was_first=was_first,
                    )
                )
            number += 1
    connection.send(turns)


def _cpu() -> int:
    """Which one the calling thread is on; -1 where the system doesn't tell."""
    stat = Path(f"/proc/self/task/{threading.get_native_id()}/stat")
    # Field 39 of `proc(5)`; the name, in brackets before the third, may hold spaces.
    return int(stat.read_text("utf-8").rpartition(")")[2].split()[36]) if stat.exists() else -1


def _turn(call: Callable[[int], None], blocks: int, first: bool) -> tuple[list[int], float]:
    """As a lane's: threads rest before it, and its first calls aren't timed."""
    wait_for_rest()
    if first:
        begin_on_first_cpu()
    clock = time.perf_counter_ns
    until = clock() + LEAD_IN_NS
    while clock() < until:
        call(blocks)
    latencies, cpu_ns, started = list[int](), time.process_time_ns(), clock()
    while clock() < started + TURN_NS:
        before = clock()
        call(blocks)
        latencies.append(clock() - before)
    return latencies, (time.process_time_ns() - cpu_ns) / (clock() - started)


def print_table(turns: Iterable[Turn]) -> None:
    """A row a process, number of threads and way of beginning."""
    groups: dict[tuple[int, bool, int], dict[int, dict[int, Turn]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for turn in turns:
        groups[turn.threads, turn.first_cpu, turn.process][turn.round][turn.blocks] = turn
    print(
        "| threads | on the first CPU | process | rounds | p50 of 100, ms | 105 / 100 | 200 / 100 |"
        " CPUs | slow calls | was there | this / without |"
    )
    print("|---" * 11 + "|")
    for (threads, first, process), rounds in sorted(groups.items()):
        without = groups[threads, False, process]
        p50_ns, by_105, by_200, step = (
            median(found)
            for found in (
                [r[100].p50_ns for r in rounds.values()],
                [r[105].p50_ns / r[100].p50_ns for r in rounds.values()],
                [r[200].p50_ns / r[100].p50_ns for r in rounds.values()],
                [r[b].p50_ns / without[n][b].p50_ns for n, r in rounds.items() for b in BLOCKS],
            )
        )
        all_turns = [turn for r in rounds.values() for turn in r.values()]
        cpus, slow = mean(t.cpus for t in all_turns), mean(t.slow_calls for t in all_turns)
        print(
            f"| {threads} | {'yes' if first else 'no'} | {process + 1} | {len(rounds)} "
            f"| {p50_ns / 1e6:.2f} | {by_105:.3f} | {by_200:.2f} | {cpus:.2f} "
            f"| {slow:.1%} | {mean(t.was_first for t in all_turns):.0%} "
            f"| {f'{step:.3f}' if first else '–'} |"
        )


if __name__ == "__main__":
    sys.exit(main())
