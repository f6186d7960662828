"""Rows of the suite's table from a run's session: pure functions."""

from __future__ import annotations

from profiler.generation.metrics import METRICS, comparisons, generation_stats, timed_turns
from profiler.lanes import ONNX
from profiler.measured import mean_ratio, over_launches
from profiler.session import Session
from profiler.suite.records import Entry, LaneResult, Row, Step
from profiler.types import Comparison, Estimate

# As `conversion_check.dynamic_note` writes it.
FIXED = "Fixed by the conversion: "
# The metric of `generation.metrics` that a row is about, and its figure in `generation_stats`.
METRIC = {Step.PREFILL: "ttft", Step.DECODE: "itl"}


def rows(entry: Entry, session: Session) -> tuple[Row, ...]:
    """One row of a model that is called once, two of one that generates text.

    Empty before the run has begun.
    """
    if session.plan is None:
        return ()
    steps = (Step.PREFILL, Step.DECODE) if entry.model.generates else (Step.ENCODER,)
    return tuple(_row(entry, session, step) for step in steps)


def _row(entry: Entry, session: Session, step: Step) -> Row:
    model, baseline = entry.model, session.baseline()
    found = session.comparisons() if step is Step.ENCODER else comparisons(session, METRIC[step])
    against = {c.candidate: c for c in found if c.baseline == baseline}
    converted = [event for event in session.converted if event.form == ONNX]
    notes = [note for event in converted for note in event.notes if FIXED in note]
    return Row(
        key=entry.key if step is Step.ENCODER else f"{entry.key}-{step}",
        model=entry.key,
        title=model.title if step is Step.ENCODER else f"{model.title} {step}",
        workload=_workload(entry, session, step),
        step=step,
        device=entry.device,
        baseline=baseline,
        lanes=tuple(_lane(session, label, step, against) for label in session.labels()),
        conversion_ns=max((event.duration_ns for event in converted), default=0),
        fixed="; ".join(note.partition(FIXED)[2].rstrip(".") for note in notes),
        rounds=session.timed_rounds(),
        set_aside=len(session.set_aside()),
        launches=len(set(session.launches.values())),
        busy=session.mostly_disturbed(),
    )


def _workload(entry: Entry, session: Session, step: Step) -> str:
    plan = session.plan.generation if session.plan else None
    if plan is None:
        return entry.model.workload
    if step is Step.PREFILL:
        return f"prompt of {plan.prompt_tokens}, {entry.model.workload}"
    return f"per token, {plan.new_tokens} after {plan.prompt_tokens}, {entry.model.workload}"


def _lane(session: Session, label: str, step: Step, against: dict[str, Comparison]) -> LaneResult:
    spec, failure = session.spec(label), session.failures.get(label)
    latency, mean_ns = _latency(session, label, step)
    compared, baseline = against.get(label), session.baseline()
    ratio = None
    if step is Step.ENCODER and label != baseline and compared is not None:
        ratio = mean_ratio(session, baseline, label)
    outputs = next((o for o in session.outputs if o.candidate == label), None)
    largest = max((d.max_abs for d in outputs.differences), default=0.0) if outputs else None
    return LaneResult(
        label=label,
        name=session.name(label),
        engine=spec.engine,
        provider=str(spec.options.get("execution_provider", "")),
        latency_ns=latency,
        speedup=stored(compared.estimate) if compared else None,
        verdict=compared.verdict if compared else None,
        machine_time=stored(ratio) if ratio else None,
        mean_ns=mean_ns,
        outputs_agree=outputs.agree if outputs else None,
        largest_difference=largest,
        failure=failure.message if failure else "",
    )


def _latency(session: Session, label: str, step: Step) -> tuple[Estimate | None, float]:
    """The median of a round, averaged over launches, with its interval; and the mean.

    Of calls, of times to the first token, or of steps from one token to the next.
    """
    aside = session.set_aside()
    if step is Step.ENCODER:
        stats = session.latency_stats(label)
        if stats is None:
            return None, 0.0
        medians = session.medians[label].items()
        values = {index: value for index, value in medians if index not in aside}
        return stored(over_launches(session, values)), stats.mean_ns
    found = generation_stats(session, label)
    if found is None:
        return None, 0.0
    measure = METRICS[METRIC[step]][1]
    measured = {turn.index: measure(turn.generations) for turn in timed_turns(session, label)}
    values = {index: value for index, value in measured.items() if value is not None}
    spread = found.ttft if step is Step.PREFILL else found.itl
    return stored(over_launches(session, values)), spread.mean


def stored(found: Estimate) -> Estimate:
    """As a file can hold it: JSON has no infinity, and leaves out what is a default."""
    return found if found.known else Estimate(found.value)
