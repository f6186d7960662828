"""Is the machine slow for seconds? Every round's median latency in ms, by lane and launch.

    python main.py profile MODEL --lane a=torch-eager --lane b=torch-eager -o run.dualscope
    python benchmarks/rounds.py run.dualscope

A star stands at rounds that are set aside.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from profiler.session_file import read_session


def main() -> int:
    """Print one line a lane and launch of the session that is named."""
    session = read_session(Path(sys.argv[1]))
    aside = session.set_aside()
    for label in session.labels():
        medians = sorted(session.medians[label].items())
        for launch, rounds in groupby(medians, key=lambda item: session.launches[item[0]]):
            shown = [f"{ns / 1e6:.3g}{'*' if index in aside else ''}" for index, ns in rounds]
            print(f"{label}, launch {launch + 1}: {' '.join(shown)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
