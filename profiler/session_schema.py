"""Tables of the session file, and the history of their versions.

Version 1 (0.1.0): first version. `events.content` is Python's JSON (it may say NaN or Infinity),
`op_timings.source_nodes` a JSON list.
Version 2 (0.1.0): `rounds` has the launch, steal_share and page faults.
Version 3 (0.1.0): `op_timings` has sizes, threads and the wait of ONNX Runtime's operators, and
`inner` for operators of nested graphs; `events` may hold ValuesCompared, LaneExamined and
NewSizeTried. `rounds` has duration_ns, of several callers at once. A file may hold a sweep: then it
has the table `points` as well.
Version 4 (0.1.0): `traces` has foreign_cpu_share and steal_share.
"""

from __future__ import annotations

VERSION = 4
SUFFIX = ".dualscope"
# What a file holds, as its `format` says.
SESSION, SWEEP = "session", "sweep"
# Of `op_timings`, as the fields of OpTiming; beside them are `trace_seq` and `inner`.
OP_COLUMNS = (
    "name",
    "op_type",
    "start_ns",
    "duration_ns",
    "source_nodes",
    "device",
    "scope",
    "iteration",
    "thread",
    "shapes",
    "provider",
    "input_bytes",
    "weights_bytes",
    "output_bytes",
    "threads",
    "wait_ns",
)

# MIGRATIONS[n] brings a file of version n to n + 1.
MIGRATIONS: dict[int, str] = {
    1: """
ALTER TABLE rounds ADD COLUMN launch INTEGER DEFAULT 0;
ALTER TABLE rounds ADD COLUMN steal_share DOUBLE DEFAULT 0;
ALTER TABLE rounds ADD COLUMN minor_page_faults BIGINT DEFAULT 0;
ALTER TABLE rounds ADD COLUMN major_page_faults BIGINT DEFAULT 0;
""",
    2: """
ALTER TABLE op_timings ADD COLUMN input_bytes BIGINT DEFAULT 0;
ALTER TABLE op_timings ADD COLUMN weights_bytes BIGINT DEFAULT 0;
ALTER TABLE op_timings ADD COLUMN output_bytes BIGINT DEFAULT 0;
ALTER TABLE op_timings ADD COLUMN threads INTEGER DEFAULT 0;
ALTER TABLE op_timings ADD COLUMN wait_ns BIGINT DEFAULT 0;
ALTER TABLE op_timings ADD COLUMN "inner" BOOLEAN DEFAULT FALSE;
ALTER TABLE rounds ADD COLUMN duration_ns BIGINT DEFAULT 0;
""",
    3: """
ALTER TABLE traces ADD COLUMN foreign_cpu_share DOUBLE DEFAULT 0;
ALTER TABLE traces ADD COLUMN steal_share DOUBLE DEFAULT 0;
""",
}

CREATE = """
CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR);
CREATE TABLE events (seq BIGINT, type VARCHAR, time_ns BIGINT, label VARCHAR, content VARCHAR);
CREATE TABLE rounds (
    seq BIGINT, time_ns BIGINT, label VARCHAR, index INTEGER, kind VARCHAR, started_ns BIGINT,
    foreign_cpu_share DOUBLE, peak_rss_bytes BIGINT, latencies_ns BIGINT[],
    launch INTEGER, steal_share DOUBLE, minor_page_faults BIGINT, major_page_faults BIGINT,
    duration_ns BIGINT
);
CREATE TABLE traces (
    seq BIGINT, time_ns BIGINT, label VARCHAR, round INTEGER, iterations INTEGER,
    traced_latencies_ns BIGINT[], foreign_cpu_share DOUBLE, steal_share DOUBLE
);
CREATE TABLE op_timings (
    trace_seq BIGINT, name VARCHAR, op_type VARCHAR, start_ns BIGINT, duration_ns BIGINT,
    source_nodes VARCHAR, device VARCHAR, scope VARCHAR, iteration INTEGER, thread BIGINT,
    shapes VARCHAR, provider VARCHAR, input_bytes BIGINT, weights_bytes BIGINT,
    output_bytes BIGINT, threads INTEGER, wait_ns BIGINT, "inner" BOOLEAN
);
CREATE TABLE telemetry (
    seq BIGINT, time_ns BIGINT, cpu_pct DOUBLE, memory_used_bytes BIGINT,
    memory_total_bytes BIGINT, cpu_freq_mhz DOUBLE, gpus JSON
);
"""
