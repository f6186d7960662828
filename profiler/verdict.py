"""The verdict of a session, in a sentence or two."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import shorten
from typing import TYPE_CHECKING

from profiler.compare import comparison_sentence, unresolved_sentences
from profiler.divergence import locate
from profiler.noise import busiest
from profiler.search.result import sentences as search_sentences
from profiler.types import Comparison, OutputsCompared, Verdict

if TYPE_CHECKING:
    from profiler.session import Session

# Engines' errors may hold a page; the log has them whole.
MOST_OF_A_REASON = 200


def verdict(session: Session) -> str:
    """The answer in a sentence or two; what failed or differs comes first."""
    searched = search_sentences(session)
    if session.plan is None:
        return ". ".join(searched) + "." if searched else ""
    sentences = searched + _failures(session)
    sentences += [
        f"{session.name(o.candidate)} gives other outputs than {session.name(o.baseline)}, "
        f"past tolerance{_first_difference(session, o)}"
        for o in session.outputs
        if not o.agree
    ]
    if session.mostly_disturbed():
        sentences.append(_busy_sentence(session))
    if searched:
        # They say what was compared.
        return ". ".join(sentences) + "."
    comparisons = session.comparisons()
    sentences += _compared(session, comparisons)
    if not comparisons:
        sentences += _measured_alone(session)
    elif session.plan.generation is not None:
        tokens = session.plan.generation
        sentences.append(
            f"This is of whole generations: {tokens.prompt_tokens} tokens of prompt, "
            f"{tokens.new_tokens} new ones"
        )
    if not sentences and session.finished:
        sentences.append("Nothing was measured")
    return ". ".join(sentences) + "." if sentences else ""


def _failures(session: Session) -> list[str]:
    """What failed for the same reason is told once, and not at any length."""
    lanes: dict[str, list[str]] = {}
    for label, failure in session.failures.items():
        reason = shorten(failure.message, MOST_OF_A_REASON, placeholder=" …").rstrip(".")
        lanes.setdefault(reason, []).append(session.name(label))
    return [f"{' and '.join(names)} failed: {reason}" for reason, names in lanes.items()]


def _compared(session: Session, comparisons: list[Comparison]) -> Iterator[str]:
    """A sentence a candidate; what is unresolved of several is told at the first one's place."""
    unresolved = [c for c in comparisons if c.verdict is Verdict.UNRESOLVED]
    for c in comparisons:
        baseline = session.name(c.baseline)
        if c.verdict is not Verdict.UNRESOLVED:
            sentence = comparison_sentence(c, baseline, session.name(c.candidate))
            yield "; ".join(part for part in (sentence, _reason(session, c)) if part)
        elif c is unresolved[0]:
            yield from unresolved_sentences(
                [(other, session.name(other.candidate)) for other in unresolved], baseline
            )


def _reason(session: Session, comparison: Comparison) -> str:
    """What most of the gap is; empty where the lanes are alike or nothing stands out."""
    if comparison.verdict not in (Verdict.FASTER, Verdict.SLOWER):
        return ""
    found = session.explanation(comparison.baseline, comparison.candidate)
    # The p50 latencies may say otherwise than the paired ratios where it is close.
    if found is None or (found.gap_ns < 0) != (comparison.verdict is Verdict.FASTER):
        return ""
    sentence = found.sentence()
    doubt = any(figures.doubt for figures in found.figures)
    return f"{sentence} (operator times in doubt: see Why)" if sentence and doubt else sentence


def _first_difference(session: Session, outputs: OutputsCompared) -> str:
    found = session.values.get((outputs.baseline, outputs.candidate))
    first = locate(found).first if found else None
    return f" (first at {first.region})" if first else ""


def _busy_sentence(session: Session) -> str:
    who = busiest(session.foreign)
    return (
        f"The machine was busy in {len(session.disturbed)} of {session.timed_rounds()} rounds"
        f"{f', most with {who}' if who else ''}: these figures hold under that load only"
    )


def _measured_alone(session: Session) -> list[str]:
    found = [(label, session.latency_stats(label)) for label in session.labels()]
    return [
        f"{session.name(label)} takes {stats.p50_ns / 1e6:.3g} ms (p50); nothing to compare with"
        for label, stats in found
        if stats
    ]
