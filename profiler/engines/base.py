"""What an engine offers to the worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from profiler.types import Examined, InputSpec, Traced


class Engine(Protocol):
    """One loaded model in one engine.

    `version` and `graph_note` say what runs, `input_note` how inputs reach it.
    """

    version: str
    graph_note: str
    input_note: str

    def load(self) -> None:
        """Load the model and place the inputs. Raises EngineError or ModelFileError."""

    def infer(self) -> object:
        """One call, exactly as a deployment would make it; nothing else happens in here."""

    def caller(self) -> AbstractContextManager[Callable[[], object]]:
        """One call with all that it waits for, for a thread that calls beside others.

        Entered and left in that thread.
        """

    def synchronize(self) -> None:
        """Wait until the device has finished."""

    def after_first_call(self) -> int:
        """Complete the notes; returns the ns of that call that compiled (0: compiled at load)."""

    def trace(self, iterations: int, warmup: int) -> Traced:
        """Profile `iterations` calls, after `warmup` others that aren't told of.

        Start times count from their iteration's start.
        """

    def examine(self) -> Examined:
        """What is looked at once a run, after the first trace."""

    def called_with(self, inputs: tuple[InputSpec, ...]) -> Callable[[], object]:
        """A call with other inputs than the loaded ones."""

    def save_outputs(self, path: Path) -> None:
        """Write one call's outputs by `profiler.outputs.save_outputs`."""

    def save_values(self, names: Sequence[str], path: Path) -> tuple[str, ...]:
        """Write values inside of the model, of one call; returns the names of those it has.

        Raises EngineError where the engine has none.
        """

    def output_names(self, outputs: object) -> tuple[str, ...]:
        """In output order; `outputs` is what a call returned."""

    def weights_bytes(self) -> int:
        """Size of the weights."""

    def close(self) -> None:
        """Free the model."""
