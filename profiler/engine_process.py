"""The parent's side of one engine process: commands out, replies in, always reaped."""

from __future__ import annotations

import contextlib
import multiprocessing
from pathlib import Path
from typing import Self

import msgspec

from profiler import worker
from profiler.child import exit_reason, start
from profiler.errors import EngineError
from profiler.types import AnyCommand, AnyReply, Close, EngineKind, EngineSpec

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[AnyReply] = msgspec.msgpack.Decoder(AnyReply)
REAP_S = 2.0


class EngineProcess:
    """A spawned process that runs `worker.main`. `label`, `pid` and `alive` tell who it is."""

    def __init__(self, spec: EngineSpec, work_dir: Path, launch: int = 0) -> None:
        context = multiprocessing.get_context("spawn")
        self.label = spec.label
        self._log_path = work_dir / f"engine-{launch}.log"
        self._log_path.touch()
        self._log_read_bytes = 0
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=worker.main,
            # Only a lane that is a server elsewhere has the network, and it loads nothing.
            args=(theirs, str(self._log_path), spec.engine is EngineKind.ENDPOINT),
            name=f"dualscope {spec.label}",
            daemon=True,
        )
        start(self._process)
        # Only the child may hold its end, else its death would not read as end of file.
        theirs.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def send(self, command: AnyCommand) -> None:
        """Raises EngineError when the process is gone."""
        try:
            self._connection.send_bytes(_ENCODER.encode(command))
        except (BrokenPipeError, OSError) as error:
            raise self._death() from error

    def receive(self, timeout_s: float) -> AnyReply | None:
        """The next reply, or None when none came in time. Raises EngineError on a dead process."""
        try:
            if not self._connection.poll(timeout_s):
                return None
            return _DECODER.decode(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise self._death() from error
        except msgspec.DecodeError as error:
            raise EngineError(f"{self.label} sent a broken message: {error}") from error

    def log_lines(self) -> list[str]:
        """Whole lines that the process wrote since the last call."""
        with self._log_path.open("rb") as log:
            log.seek(self._log_read_bytes)
            fresh = log.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._log_read_bytes += len(whole)
        return whole.decode("utf-8", "replace").splitlines()

    def log_tail(self, count: int = 20) -> tuple[str, ...]:
        """The last lines of everything that the process wrote."""
        text = self._log_path.read_bytes().decode("utf-8", "replace")
        return tuple(text.splitlines()[-count:])

    def ask_to_leave(self) -> None:
        """It ends when it has answered what it was asked before; nothing waits for that."""
        # One that is gone already has left.
        with contextlib.suppress(OSError):
            self._connection.send_bytes(_ENCODER.encode(Close()))

    def close(self, timeout_s: float = REAP_S) -> None:
        """Ask it to leave, then terminate, then kill. May be called twice."""
        if self._connection.closed:
            return
        self.ask_to_leave()
        self._process.join(timeout_s)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(timeout_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _death(self) -> EngineError:
        self._process.join(REAP_S)
        reason = exit_reason(self._process.exitcode)
        hint = "Its last output is in the log."
        if reason.endswith("SIGKILL"):
            hint = "The system may have run out of memory. " + hint
        return EngineError(f"The engine process of {self.label} {reason}.", hint)
