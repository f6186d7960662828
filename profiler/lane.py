"""One lane of a run: its engine process and what the supervisor has to remember about it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from profiler.engine_process import REAP_S, EngineProcess
from profiler.errors import CancelledError, EngineError, rebuild
from profiler.types import (
    AnyCommand,
    AnyReply,
    EngineKind,
    EngineSpec,
    Failed,
    Infer,
    Latencies,
    LogLine,
    ModelSource,
    WarmupRule,
)

POLL_S = 0.1
MAX_CALLS_A_TURN = 10_000
# A turn has so many calls of a slow model, as long as it takes no longer than that: each turn has
# an untimed call, too, and a single timed one tells little.
FEW_CALLS, FEW_CALLS_NS = 3, 250_000_000
# A lane's first call after another's turn took 12 ms longer than 38, with 460 MB of weights.
LONG_CALL_NS = 1e9


class Lane:
    """An engine process with its latest latency, so that a turn's length can be planned.

    `clock` gives seconds, which timeouts refer to.

    Context manager: the process is reaped on leaving.
    """

    def __init__(
        self,
        spec: EngineSpec,
        model: ModelSource,
        work_dir: Path,
        cancelled: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.model = model
        self.work_dir = work_dir
        self.traces = 0
        self.can_trace = True
        self._cancelled = cancelled
        self._clock = clock
        # Requests in a turn, where it is an endpoint.
        self.requests = 1
        self._medians_ns: list[float] = []
        self._turn_s = 1.0
        self._launch = 0
        work_dir.mkdir(parents=True, exist_ok=True)
        self.process = EngineProcess(spec, work_dir)

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def is_endpoint(self) -> bool:
        """Whether the lane is a server elsewhere, asked over HTTP."""
        return self.spec.engine is EngineKind.ENDPOINT

    def launch_again(self) -> None:
        """A new process in place of the present one; nothing is loaded in it yet."""
        self.process.close()
        self._launch += 1
        self._medians_ns.clear()
        self.process = EngineProcess(self.spec, self.work_dir, self._launch)

    def request(self, command: AnyCommand, timeout_s: float) -> AnyReply:
        """Send a command and wait for its reply. Raises as `wait` does."""
        self.process.send(command)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> AnyReply:
        """The reply to the command sent.

        Raises CancelledError when the person stops the run, EngineError (or the error that the
        engine process names) when it fails, dies or doesn't answer within `timeout_s`.
        """
        deadline = self._clock() + timeout_s
        while True:
            reply = self.process.receive(POLL_S)
            if isinstance(reply, Failed):
                raise rebuild(reply.error, reply.message, reply.hint)
            if reply is not None:
                return reply
            if self._cancelled():
                raise CancelledError("The run was stopped.")
            if self._clock() > deadline:
                # A late reply would be taken for the next command's.
                self.process.close(min(REAP_S, timeout_s))
                raise EngineError(
                    f"{self.label} did not answer within {timeout_s:.3g} s.",
                    "The model may be too slow here, or the engine hangs.",
                )

    def infer(self, iterations: int, timeout_s: float, lead_in: int = 0) -> Latencies:
        """Time `iterations` calls, after `lead_in` untimed ones; remembers their median."""
        reply = self.request(Infer(iterations=iterations, lead_in=lead_in), timeout_s)
        if not isinstance(reply, Latencies):
            raise EngineError(f"{self.label} answered {type(reply).__name__} to a timed turn.")
        self._medians_ns.append(float(statistics.median(reply.latencies_ns)))
        if reply.generations is not None:
            self._turn_s = reply.generations.span_ns / 1e9
        return reply

    def turn_s(self, turn_ns: int, lead_in_ns: int) -> float:
        """How long the next turn will take; requests to an endpoint overlap."""
        if self.is_endpoint:
            return self._turn_s
        return (self.lead_in(lead_in_ns) + self.calls_of_turn(turn_ns)) * self.expected_ns() / 1e9

    def expected_ns(self) -> float:
        """Latency to plan with: the median of the last turn; one second before the first."""
        return self._medians_ns[-1] if self._medians_ns else 1e9

    def calls_in(self, turn_ns: int) -> int:
        """Iterations that fit a turn of that length: at least 1. An endpoint has its own count."""
        if self.is_endpoint:
            return self.requests
        return max(1, min(MAX_CALLS_A_TURN, int(turn_ns / max(self.expected_ns(), 1.0))))

    def calls_of_turn(self, turn_ns: int) -> int:
        """Timed calls of a turn of about that length: of slow models a few, if they take 250 ms."""
        return max(self.calls_in(turn_ns), min(FEW_CALLS, self.calls_in(FEW_CALLS_NS)))

    def lead_in(self, lead_in_ns: int) -> int:
        """Untimed calls before a turn's timed ones: its caches hold what the last lane left there.

        At least 1; none of a model whose calls are so long that it doesn't show, nor of a server.
        """
        if self.is_endpoint:
            return 0
        return self.calls_in(lead_in_ns) if self.expected_ns() <= LONG_CALL_NS else 0

    def settled(self, rule: WarmupRule) -> bool:
        """Whether the last four medians lie within the rule's tolerance of each other."""
        last = self._medians_ns[-4:]
        return len(last) == 4 and max(last) <= min(last) * (1 + rule.settle_tolerance)

    def log_events(self) -> list[LogLine]:
        """What the process wrote to stdout and stderr since the last call."""
        return [
            LogLine(time_ns=time.time_ns(), label=self.label, level="info", text=line)
            for line in self.process.log_lines()
        ]

    def close(self) -> None:
        self.process.close()
