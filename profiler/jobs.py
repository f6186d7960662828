"""Short-lived child processes that inspect and convert models, seen from the parent."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import platformdirs

from profiler import consent, model_file
from profiler.child import exit_reason, settle_in, start
from profiler.consent import FactoryNeededError
from profiler.errors import (
    CancelledError,
    ConversionError,
    EngineError,
    ModelFileError,
    ProfilerError,
    rebuild,
)
from profiler.types import (
    BuildJob,
    Built,
    Capabilities,
    Converted,
    ConvertJob,
    Factory,
    Failed,
    Guesses,
    GuessJob,
    InputSpec,
    Inspected,
    InspectJob,
    JobProgress,
    LookAround,
    LookedAround,
    ModelInfo,
    ModelSource,
    PrecisionJob,
    ProgramJob,
)

AnyJob = InspectJob | GuessJob | ConvertJob | PrecisionJob | ProgramJob | BuildJob | LookAround
AnyAnswer = JobProgress | Inspected | Guesses | Converted | Built | LookedAround | Failed

INSPECT_TIMEOUT_S = 300.0
CONVERT_TIMEOUT_S = 1800.0
POLL_S = 0.1
REAP_S = 2.0


def inspect_model(
    path: Path,
    *,
    factory: Factory | None = None,
    trust: bool = False,
    cancelled: Callable[[], bool] | None = None,
) -> ModelInfo:
    """Identify the file here, look inside of it in a child. Blocks; call off the UI thread.

    `factory` builds the module of a file of weights; `trust`: the person agrees that code of the
    file or the factory runs. Raises ModelFileError, UnsafeModelError, CancelledError, and
    ConsentNeededError or FactoryNeededError where the person has to be asked.
    """
    source = consent.checked(model_file.identify(path, cancelled), factory, trust=trust)
    if source.kind in model_file.WEIGHTS_KINDS and source.factory is None:
        raise FactoryNeededError(source, _guesses(source, cancelled))
    answer = _run(InspectJob(source=source), INSPECT_TIMEOUT_S, ModelFileError, None, cancelled)
    if not isinstance(answer, Inspected):
        raise ModelFileError(f"{path.name} could not be inspected.")
    note = model_file.suffix_note(source)
    notes = (note, *answer.info.notes) if note else answer.info.notes
    return msgspec.structs.replace(answer.info, notes=notes)


def _guesses(source: ModelSource, cancelled: Callable[[], bool] | None) -> Guesses:
    answer = _run(GuessJob(source=source), INSPECT_TIMEOUT_S, ModelFileError, None, cancelled)
    return answer if isinstance(answer, Guesses) else Guesses()


def onnx_form(
    source: ModelSource,
    inputs: Sequence[InputSpec],
    *,
    on_progress: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[ModelSource, tuple[str, ...]]:
    """The model as an ONNX file in the cache, and notes on the conversion; see `conversion`."""
    found = conversion(source, inputs, on_progress=on_progress, cancelled=cancelled)
    return found.model, found.notes


def conversion(
    source: ModelSource,
    inputs: Sequence[InputSpec],
    *,
    on_progress: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Converted:
    """The model as an ONNX file in the cache, with notes and how long that took once. Blocks.

    Raises ConversionError, UnsafeModelError, ModelFileError, CancelledError.
    """
    job = ConvertJob(source=source, inputs=tuple(inputs), out_dir=str(cache_dir()))
    answer = _run(job, CONVERT_TIMEOUT_S, ConversionError, on_progress, cancelled)
    if not isinstance(answer, Converted):
        raise ConversionError("The conversion ended without a result.")
    return answer


def program_form(source: ModelSource, inputs: Sequence[InputSpec], path: Path) -> ModelSource:
    """What PyTorch lanes run, exported to a .pt2 file at `path`. Blocks.

    Raises ConversionError, UnsafeModelError, ModelFileError.
    """
    job = ProgramJob(source=source, inputs=tuple(inputs), path=str(path))
    answer = _run(job, CONVERT_TIMEOUT_S, ConversionError, None, None)
    if not isinstance(answer, Converted):
        raise ConversionError("The export ended without a result.")
    return answer.model


def build_model(job: BuildJob, *, cancelled: Callable[[], bool] | None = None) -> None:
    """Write a model with random weights. Blocks. Raises ModelFileError, CancelledError."""
    if not isinstance(_run(job, INSPECT_TIMEOUT_S, ModelFileError, None, cancelled), Built):
        raise ModelFileError(f"{job.model_class} could not be built.")


def in_precision(
    source: ModelSource,
    precision: str,
    inputs: Sequence[InputSpec],
    *,
    on_progress: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Converted:
    """An ONNX file in another precision, in the cache, with notes on it. Blocks.

    Raises ConversionError, ModelFileError, CancelledError.
    """
    out_dir = str(cache_dir())
    job = PrecisionJob(source=source, precision=precision, inputs=tuple(inputs), out_dir=out_dir)
    answer = _run(job, CONVERT_TIMEOUT_S, ConversionError, on_progress, cancelled)
    if not isinstance(answer, Converted):
        raise ConversionError("The conversion ended without a result.")
    return answer


def capabilities(*, cancelled: Callable[[], bool] | None = None) -> Capabilities:
    """What the engines can use on this machine. Blocks for a few seconds; call off the UI thread.

    Raises EngineError, CancelledError.
    """
    answer = _run(LookAround(), INSPECT_TIMEOUT_S, EngineError, None, cancelled)
    if not isinstance(answer, LookedAround):
        raise EngineError("What the engines can use could not be found out.")
    return answer.capabilities


def cache_dir() -> Path:
    """Where converted models are kept; `DUALSCOPE_CACHE` overrides it."""
    folder = os.environ.get("DUALSCOPE_CACHE") or platformdirs.user_cache_path("dualscope")
    path = Path(folder) / "converted"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _run(
    job: AnyJob,
    timeout_s: float,
    crash_error: type[ProfilerError],
    on_progress: Callable[[str], None] | None,
    cancelled: Callable[[], bool] | None,
) -> AnyAnswer:
    """Run a job in a child process that is always reaped; its `Failed` is raised."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="dualscope-", ignore_cleanup_errors=True) as folder:
        log_path = Path(folder) / "job.log"
        ours, theirs = context.Pipe()
        arguments = (theirs, msgspec.msgpack.encode(job), str(log_path))
        process = context.Process(target=child_main, args=arguments, daemon=True)
        log_path.touch()
        start(process)
        theirs.close()
        try:
            return _wait(ours, time.monotonic() + timeout_s, on_progress, cancelled)
        except (EOFError, OSError) as error:
            process.join(REAP_S)
            tail = log_path.read_text("utf-8", "replace").splitlines()[-5:]
            raise crash_error(
                f"The process that looked at the model {exit_reason(process.exitcode)}.",
                " / ".join(tail) or "The file may be damaged.",
            ) from error
        finally:
            if process.is_alive():
                process.join(REAP_S)
            if process.is_alive():
                process.kill()
            process.join()
            ours.close()


def _wait(
    connection: Connection,
    deadline: float,
    on_progress: Callable[[str], None] | None,
    cancelled: Callable[[], bool] | None,
) -> AnyAnswer:
    decoder: msgspec.msgpack.Decoder[AnyAnswer] = msgspec.msgpack.Decoder(AnyAnswer)
    while True:
        if connection.poll(POLL_S):
            answer: AnyAnswer = decoder.decode(connection.recv_bytes())
            if isinstance(answer, Failed):
                raise rebuild(answer.error, answer.message, answer.hint)
            if not isinstance(answer, JobProgress):
                return answer
            if on_progress:
                on_progress(answer.text)
        if cancelled and cancelled():
            raise CancelledError("Stopped.")
        if time.monotonic() > deadline:
            raise ConversionError(
                "The model took too long to load or convert.", "Try a smaller model or input."
            )


def child_main(connection: Connection, job_bytes: bytes, log_path: str) -> None:
    """Body of the child process."""
    settle_in(Path(log_path))
    encoder = msgspec.msgpack.Encoder()
    decoder: msgspec.msgpack.Decoder[AnyJob] = msgspec.msgpack.Decoder(AnyJob)

    def send(answer: AnyAnswer) -> None:
        connection.send_bytes(encoder.encode(answer))

    job = decoder.decode(job_bytes)
    try:
        send(_do(job, lambda text: send(JobProgress(text=text))))
    except ProfilerError as error:
        send(Failed(error=type(error).__name__, message=error.message, hint=error.hint))
    except Exception as error:
        converts = isinstance(job, ConvertJob | PrecisionJob | ProgramJob)
        kind = ConversionError if converts else ModelFileError
        send(
            Failed(
                error=kind.__name__,
                message=f"{type(error).__name__}: {str(error)[:500]}",
                details=traceback.format_exc(),
            )
        )


def _do(job: AnyJob, progress: Callable[[str], None]) -> AnyAnswer:
    if isinstance(job, LookAround):
        from profiler.engines.capabilities import look_around

        return LookedAround(capabilities=look_around())
    if isinstance(job, InspectJob):
        from profiler.inspection import inspect

        return Inspected(info=inspect(job.source))
    if isinstance(job, GuessJob):
        from profiler.factory_guesses import guess

        return guess(job.source)
    if isinstance(job, BuildJob):
        from profiler.suite.building import build

        build(job)
        return Built()
    if isinstance(job, PrecisionJob):
        from profiler.conversion_time import conversion_ns
        from profiler.precision import convert_precision

        model, notes = convert_precision(
            job.source, job.precision, job.inputs, Path(job.out_dir), progress
        )
        return Converted(model=model, notes=notes, duration_ns=conversion_ns(model))
    if isinstance(job, ProgramJob):
        from profiler.torch_program import save_program

        save_program(job.source, job.inputs, Path(job.path))
        return Converted(model=model_file.identify(Path(job.path)))
    from profiler.conversion_time import conversion_ns
    from profiler.convert import convert_to_onnx

    model, notes = convert_to_onnx(job.source, job.inputs, Path(job.out_dir), progress)
    return Converted(model=model, notes=notes, duration_ns=conversion_ns(model))
