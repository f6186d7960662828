"""Is a launch slow because its memory goes back to the system? Latency and page faults by launch.

    python main.py profile MODEL --lane a=torch-eager,intra_op_threads=1 ... -o run.dualscope
    python benchmarks/page_faults.py run.dualscope

One row a lane and launch: rounds, p50, minor page faults a call of the timed turns.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from profiler.processes import processes
from profiler.session_file import read_session


def main() -> int:
    """Print the table of the session that is named."""
    session = read_session(Path(sys.argv[1]))
    print("| lane | launch | rounds | p50 | page faults a call |\n|---|---|---|---|---|")
    for label in session.labels():
        for own in processes(session.rounds[label]):
            print(
                f"| {label} | {own.launch + 1} | {own.rounds} | {own.p50_ns / 1e6:.2f} ms "
                f"| {own.faults:.0f} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
