"""Opens files off the UI thread: models are inspected in a child process, sessions are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from gui.background import Task
from profiler import consent
from profiler.jobs import capabilities, inspect_model, onnx_form
from profiler.plan import check_capabilities, needs_capabilities
from profiler.session import Session
from profiler.session_file import kind_of, looks_like_session, read_session
from profiler.session_schema import SWEEP
from profiler.sweep.state import Sweep
from profiler.sweep.sweep_file import read_point, read_sweep
from profiler.types import Factory, InputSpec, ModelInfo, ModelKind, ModelSource, RunPlan

# Netron draws these files themselves; of the others the ONNX form is shown.
DRAWN_AS_THEY_ARE = (ModelKind.ONNX, ModelKind.TORCHSCRIPT)


class Opener(QObject):
    """One file at a time: opening another cancels the one before.

    Signals: `busy(str)` with what goes on or "" when it is over, `model_opened(ModelInfo)`,
    `session_opened(Session, Path)`, `sweep_opened(Sweep, Path)`, `point_opened(Session, index)` of
    a sweep, `failed(ProfilerError)`, `form_found(Path)` with the ONNX form
    of a model whose own file has no graph, `form_failed(ProfilerError)`. `again` repeats what was
    asked last.
    """

    busy = Signal(str)
    model_opened = Signal(object)
    session_opened = Signal(object, object)
    sweep_opened = Signal(object, object)
    point_opened = Signal(object, int)
    failed = Signal(object)
    form_found = Signal(object)
    form_failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._task: Task | None = None
        self._point: tuple[Path, int] | None = None
        self._form: Task | None = None
        self.again: Callable[[], None] = lambda: None
        self._tasks: set[Task] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a file is being opened."""
        return self._task is not None

    def open(self, path: Path, factory: Factory | None = None) -> None:
        """Open a model or a session; `factory` builds the module of weights."""
        self.again = lambda: self.open(path, factory)

        def work(cancelled: Callable[[], bool], _: object) -> Session | Sweep | ModelInfo:
            if looks_like_session(path):
                return read_sweep(path) if kind_of(path) == SWEEP else read_session(path)
            return inspect_model(path, factory=factory, cancelled=cancelled)

        def go_on(result: object) -> None:
            if isinstance(result, Session):
                self.session_opened.emit(result, path)
            elif isinstance(result, Sweep):
                self.sweep_opened.emit(result, path)
            else:
                self.model_opened.emit(result)

        self._start(f"Looking at {path.name}…", work, go_on)

    def open_point(self, path: Path, index: int) -> None:
        """Read one point of a sweep; nothing where that is going on already."""
        if self.is_busy and self._point == (path, index):
            return
        self._start(
            f"Reading point {index} of {path.name}…",
            lambda *_: read_point(path, index),
            lambda found: self.point_opened.emit(found, index),
        )
        self._point = (path, index)

    def check(self, plan: RunPlan, then: Callable[[RunPlan], None]) -> None:
        """Call `then` with the plan if it can still be run; else `failed` says why not."""

        def work(cancelled: Callable[[], bool], _: object) -> RunPlan:
            renewed = consent.renewed(plan, trust=False, cancelled=cancelled)
            if needs_capabilities(renewed):
                check_capabilities(renewed, capabilities(cancelled=cancelled))
            return renewed

        def go_on(result: object) -> None:
            assert isinstance(result, RunPlan)
            then(result)

        self.again = lambda: self.check(plan, then)
        self._start("Checking the model file…", work, go_on)

    def prepare(
        self,
        text: str,
        work: Callable[[Callable[[], bool], Callable[[str], None]], object],
        then: Callable[[object], None],
    ) -> None:
        """Call `then` with what `work` finds; else `failed` says why not. `text`: what goes on."""
        self.again = lambda: self.prepare(text, work, then)
        self._start(text, work, then)

    def find_form(self, source: ModelSource, inputs: tuple[InputSpec, ...]) -> None:
        """Convert to ONNX, or take it from the cache, so that there is a graph to draw."""
        self.drop_form()
        task = self._task_for(
            lambda cancelled, progress: onnx_form(
                consent.asked_again(source, trust=False, cancelled=cancelled),
                inputs,
                on_progress=progress,
                cancelled=cancelled,
            )
        )
        task.done.connect(lambda found: self.form_found.emit(Path(found[0].path)))
        task.failed.connect(self.form_failed)
        self._form = task
        task.start()

    def drop_form(self) -> bool:
        """Give up the conversion that is for the graph; whether one was going on."""
        going_on = self._form is not None
        if self._form is not None:
            self._form.cancel()
            self._form = None
        return going_on

    def cancel(self) -> None:
        """Give up what is being opened or checked."""
        self._point = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.busy.emit("")

    def shut_down(self) -> None:
        """Cancel all, and wait for the threads."""
        self.cancel()
        self.drop_form()
        for task in list(self._tasks):
            task.wait()

    def _start(
        self,
        text: str,
        work: Callable[[Callable[[], bool], Callable[[str], None]], object],
        then: Callable[[object], None],
    ) -> None:
        self.cancel()
        task = self._task_for(work)
        task.done.connect(lambda result: self._on_over(task, lambda: then(result)))
        task.failed.connect(lambda error: self._on_over(task, lambda: self.failed.emit(error)))
        self._task = task
        self.busy.emit(text)
        task.start()

    def _task_for(
        self, work: Callable[[Callable[[], bool], Callable[[str], None]], object]
    ) -> Task:
        task = Task(work, self)
        self._tasks.add(task)
        task.finished.connect(lambda: self._forget(task))
        return task

    def _forget(self, task: Task) -> None:
        self._tasks.discard(task)
        if self._form is task:
            self._form = None
        task.deleteLater()

    def _on_over(self, task: Task, then: Callable[[], None]) -> None:
        if self._task is not task:
            return
        self._task = None
        self.busy.emit("")
        then()
