"""Which lane to use for the person's goal, with reasons that cite this session's figures."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator

from msgspec import Struct

from profiler.caveats import cautions, not_measured, output_words, refused
from profiler.compare import counted
from profiler.cost_report import cost_report
from profiler.goals import P99_FIGURE, Citation, Measure, Standing, measure_for
from profiler.intervals import ends_text, value_text
from profiler.lane_form import (
    complexity,
    configuration,
    conversion_words,
    portability,
    simpler_words,
)
from profiler.measured import p99
from profiler.model_type import TypeFound, recognize
from profiler.session import Session
from profiler.tails import least_count
from profiler.types import Goal, Verdict

GOAL_WORDS = {
    Goal.LATENCY: "latency",
    Goal.P99: "p99 latency",
    Goal.THROUGHPUT: "throughput",
    Goal.COST: "cost",
    Goal.MEMORY: "memory",
    Goal.PORTABILITY: "portability",
}


class Outcome(enum.StrEnum):
    """`best`: surely better than every other lane. `simpler`: none is surely better, and it is the
    simplest of those that are the same. `unresolved`: until more is known, the simplest that may be
    the best. `alone`: no other lane can be recommended. `ask`: the person has to tell something
    first. `none`: no lane can be recommended.
    """

    BEST = "best"
    SIMPLER = "simpler"
    UNRESOLVED = "unresolved"
    ALONE = "alone"
    ASK = "ask"
    NONE = "none"


class Reason(Struct, frozen=True, kw_only=True):
    """`cites`: the figures that it rests on."""

    text: str
    cites: tuple[Citation, ...] = ()


class Recommendation(Struct, frozen=True, kw_only=True):
    """`label` is the lane, "" for none; `configuration` is as `--lane` takes it. `outputs`: how far
    the lane's results are from the others'.
    """

    goal: Goal
    outcome: Outcome
    label: str
    configuration: str
    sentence: str
    reasons: tuple[Reason, ...]
    outputs: str
    cautions: tuple[str, ...]
    not_measured: tuple[str, ...]
    model_type: TypeFound


class _Choice(Struct, frozen=True, kw_only=True):
    outcome: Outcome
    label: str
    sentence: str
    reasons: tuple[Reason, ...] = ()


def recommend(session: Session) -> Recommendation | None:
    """For the session's own question; None while no lane was measured."""
    if session.plan is None or not any(session.latency_stats(s) for s in session.labels()):
        return None
    goal, found = session.question.goal, recognize(session)
    choice = _choose(session, goal)
    return Recommendation(
        goal=goal,
        outcome=choice.outcome,
        label=choice.label,
        configuration=configuration(session.spec(choice.label)) if choice.label else "",
        sentence=choice.sentence,
        reasons=choice.reasons,
        outputs=output_words(session, choice.label) if choice.label else "",
        cautions=tuple(cautions(session, choice.label, goal, found)),
        not_measured=tuple(not_measured(session, goal, found)),
        model_type=found,
    )


def _choose(session: Session, goal: Goal) -> _Choice:
    barred = refused(session)
    able = [
        label
        for label in session.labels()
        if session.latency_stats(label) and label not in session.failures and label not in barred
    ]
    what = f"For {GOAL_WORDS[goal]}"
    if not able:
        return _Choice(
            outcome=Outcome.NONE,
            label="",
            sentence=f"{what}: no lane can be recommended; all failed or give other outputs.",
        )
    if len(able) == 1:
        name = session.name(able[0])
        others = len(session.labels()) > 1
        why = "the others failed or give other outputs" if others else "nothing else was measured"
        return _Choice(
            outcome=Outcome.ALONE,
            label=able[0],
            sentence=f"{what}: only {name} is left to recommend; {why}.",
        )
    if goal is Goal.PORTABILITY:
        return _most_portable(session, able, what)
    if goal is Goal.COST and (missing := _missing_prices(session, able)):
        return _Choice(
            outcome=Outcome.ASK,
            label="",
            sentence=f"{what}: tell the price per hour of {', '.join(missing)}.",
            reasons=tuple(_hours_saved(session)),
        )
    return _by_measure(session, able, measure_for(goal, session), what)


def _missing_prices(session: Session, able: list[str]) -> list[str]:
    report = cost_report(session, session.question.cost)
    lanes = [lane for lane in report.lanes if lane.label in able and not lane.price]
    return list(dict.fromkeys("the machine" if x.device == "cpu" else x.device for x in lanes))


def _hours_saved(session: Session) -> Iterator[Reason]:
    """What is known without a price: lanes on one device cost as much as they take long."""
    for lane in cost_report(session, session.question.cost).lanes:
        saved = lane.figure("saved_hours_share")
        if saved is None or saved.low is None or saved.high is None:
            continue
        verb = "saves" if saved.value >= 0 else "adds"
        ends = sorted(abs(end) for end in (saved.low, saved.high))
        if saved.low * saved.high < 0:
            continue
        yield Reason(
            text=f"Whatever the price, {lane.name} {verb} {abs(saved.value):.0f} % of the machine "
            f"hours [{ends[0]:.0f}–{ends[1]:.0f} %]",
            cites=(
                Citation(figure="saved_hours_share", label=lane.label, value=saved.value, unit="%"),
            ),
        )


def _by_measure(session: Session, able: list[str], measure: Measure, what: str) -> _Choice:
    known = [label for label in able if measure.value(label) is not None]
    if len(known) < len(able) or not known:
        missing = ", ".join(session.name(label) for label in able if label not in known)
        return _Choice(
            outcome=Outcome.UNRESOLVED,
            label=min(able, key=lambda label: complexity(session, label)),
            sentence=f"{what}: unresolved, since nothing of the kind was measured of {missing}.",
        )
    best = min(known, key=lambda label: (measure.value(label) or 0.0, complexity(session, label)))
    others = [label for label in known if label != best]
    standing = {label: measure.against(best, label) for label in others}
    same = [o for o in others if standing[o].verdict is Verdict.SAME]
    # A lane that is behind in the figure but not in the paired ratios isn't told apart either.
    doubtful = [o for o in others if standing[o].verdict in (Verdict.UNRESOLVED, Verdict.SLOWER)]
    label = min([best, *same, *doubtful], key=lambda one: complexity(session, one))
    name = session.name(label)
    reasons = tuple(_reasons(session, measure, label, [o for o in known if o != label]))
    if doubtful:
        simple = next((w for o in (best, *doubtful) if (w := simpler_words(session, label, o))), "")
        until = f"{name}, which {simple}," if simple else name
        return _Choice(
            outcome=Outcome.UNRESOLVED,
            label=label,
            sentence=f"{what}: unresolved. Keep {until} until more is measured.",
            reasons=reasons,
        )
    if same:
        alike = [best, *same]
        rest = " and ".join(session.name(o) for o in alike if o != label)
        why = next((w for o in alike if (w := simpler_words(session, label, o))), "")
        because = f" and {why}" if why else ""
        return _Choice(
            outcome=Outcome.SIMPLER,
            label=label,
            sentence=f"{what}: use {name}. It is {measure.same} {rest}{because}.",
            reasons=reasons,
        )
    return _Choice(
        outcome=Outcome.BEST,
        label=label,
        sentence=f"{what}: use {name}, {measure.words(label)}.",
        reasons=reasons,
    )


def _reasons(session: Session, measure: Measure, label: str, others: list[str]) -> Iterator[Reason]:
    name = session.name(label)
    text = f"{name}: {measure.words(label)}"
    yield Reason(text=text, cites=(measure.cite(label),))
    for other in others:
        yield _against(session, measure, label, other)
        words = conversion_words(session, other)
        if words and not conversion_words(session, label):
            yield Reason(text=f"{session.name(other)} {words}; {name} does not")
    if measure.figure == P99_FIGURE:
        yield from _too_few_for_p99(session, [label, *others])


def _too_few_for_p99(session: Session, labels: list[str]) -> Iterator[Reason]:
    for label in labels:
        found, stats = p99(session, label), session.latency_stats(label)
        if found is not None and stats is not None and math.isinf(found.high):
            yield Reason(
                text=f"{session.name(label)} has {stats.iterations} iterations; the upper end of "
                f"a p99 takes at least {least_count(0.99)}, more where they hang together",
                cites=(Citation(figure="iterations", label=label, value=stats.iterations),),
            )


def _against(session: Session, measure: Measure, label: str, other: str) -> Reason:
    found: Standing = measure.against(label, other)
    ratio, name = found.ratio, session.name(other)
    over = ""
    if found.rounds:
        rounds = counted(found.rounds, "paired round")
        over = f", over {rounds} of {counted(found.launches, 'launch', 'launches')}"
    cites = tuple(
        Citation(figure=f"ratio.{end}", label=f"{label}/{other}", value=value)
        for end, value in (("value", ratio.value), ("low", ratio.low), ("high", ratio.high))
    )
    value, span = value_text(ratio), f"[{ends_text(ratio)}]"
    subject = session.name(label)
    match found.verdict:
        case Verdict.FASTER:
            text = f"{subject} is {value}× {measure.better} {name} {span}{over}"
        case Verdict.SAME:
            text = f"{subject} is {measure.same} {name}: ratio {value} {span}{over}"
        case Verdict.SLOWER:
            text = f"{name} looks better: ratio {value} {span}{over}"
        case _ if math.isinf(ratio.high) or not ratio.low:
            text = f"{subject} and {name} can't be told apart: too little was measured{over}"
        case _:
            text = f"{subject} against {name} is unresolved: ratio within {span}{over}"
    return Reason(text=text, cites=cites)


def _most_portable(session: Session, able: list[str], what: str) -> _Choice:
    """By what each form needs where it runs; and what that costs in latency here."""
    label = min(able, key=lambda one: (portability(session, one)[0], complexity(session, one)))
    name, latency = session.name(label), measure_for(Goal.LATENCY, session)
    reasons = [
        Reason(text=f"{session.name(one)}: {portability(session, one)[1]}")
        for one in sorted(able, key=lambda one: portability(session, one)[0])
    ]
    reasons.append(Reason(text=f"{name}: {latency.words(label)}", cites=(latency.cite(label),)))
    reasons += [_against(session, latency, label, other) for other in able if other != label]
    tied = portability(session, label)[0] in (
        portability(session, other)[0] for other in able if other != label
    )
    return _Choice(
        outcome=Outcome.SIMPLER if tied else Outcome.BEST,
        label=label,
        sentence=f"{what}: use {name}: {portability(session, label)[1]}.",
        reasons=tuple(reasons),
    )
