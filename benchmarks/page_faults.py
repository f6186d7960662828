"""Is a launch slow because its memory goes back to the system? Latency and page faults by launch.

    python main.py profile MODEL --lane a=torch-eager,intra_op_threads=1 ... -o run.dualscope
    python benchmarks/page_faults.py run.dualscope

One row a lane and launch: rounds, p50, minor page faults a call of the timed turns.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from profiler.session_file import read_session
from profiler.types import Round, RoundKind


def main() -> int:
    """Print the table of the session that is named."""
    session = read_session(Path(sys.argv[1]))
    print("| lane | launch | rounds | p50 | page faults a call |\n|---|---|---|---|---|")
    for label in session.labels():
        launches: defaultdict[int, list[Round]] = defaultdict(list)
        for turn in session.rounds[label]:
            if turn.kind is RoundKind.TIMED:
                launches[turn.launch].append(turn)
        for launch, turns in sorted(launches.items()):
            latencies = [value for turn in turns for value in turn.latencies_ns]
            faults = sum(turn.minor_page_faults for turn in turns) / len(latencies)
            p50_ms = statistics.median(latencies) / 1e6
            print(f"| {label} | {launch + 1} | {len(turns)} | {p50_ms:.2f} ms | {faults:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
