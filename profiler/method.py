"""How a session's figures were made, in words: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from profiler.lanes import callers
from profiler.noise import busiest
from profiler.session import Session
from profiler.types import EngineKind, EngineSpec, RoundKind, RunPlan


def method_note(session: Session) -> str:
    """What a reader needs to judge the figures, in a few sentences."""
    plan = session.plan
    if plan is None:
        return ""
    sentences = [
        "Every lane runs in a process of its own, and gets the same input values. In each round "
        "every lane has one turn, in random order, and nothing is traced.",
        "Lanes are launched anew within a run, as time allows, since one process differs from the "
        "next. Speedup is the median over a launch's rounds of baseline latency / candidate "
        "latency, averaged over launches (geometric mean, in which one far out counts less); its "
        "95 % interval allows for differences between launches (a moderated t) and for stopping "
        "when it is narrow.",
        *_lead_in(plan),
        "Threads wait for work as their engine has them wait; a turn ends when they rest, so that "
        "they take no core from the next lane.",
        *(_spinning(spec) for spec in plan.engines if spec.engine is EngineKind.ORT),
        *(_callers(spec) for spec in plan.engines),
        *_placement(session),
        *_generation(session),
        noise_note(session),
        "Operator times come from separate traced rounds, which are slower: read them as shares."
        if plan.generation is None
        else "",
        f"Seed {plan.seed}; stop at an interval of {plan.stopping.target_width:.0%} of the ratio "
        f"or after {plan.stopping.time_limit_s:g} s.",
    ]
    return " ".join(dict.fromkeys(sentence for sentence in sentences if sentence))


def _lead_in(plan: RunPlan) -> list[str]:
    if not plan.lead_in_ns:
        return []
    lead_in = f"{plan.lead_in_ns / 1e6:g} ms, at least one call"
    return [f"A turn begins with untimed calls ({lead_in}; none where a call takes over 1 s)."]


def _spinning(spec: EngineSpec) -> str:
    if not spec.options.get("allow_spinning", True):
        return f"Threads of lane {spec.label} don't spin."
    if spec.options.get("stop_spinning", False):
        return f"Threads of lane {spec.label} stop spinning when a call ends."
    return ""


def _callers(spec: EngineSpec) -> str:
    count = callers(spec)
    if count == 1:
        return ""
    return (
        f"{count} threads of lane {spec.label} call at once in its turn: a latency is that of one "
        "call among the others, throughput counts the calls of all. Its traces are of single calls."
    )


def _placement(session: Session) -> list[str]:
    found = []
    if session.plan and session.plan.lane_cpus:
        cpus = ", ".join(str(cpu) for cpu in session.plan.lane_cpus)
        found.append(f"Lanes are kept on CPUs {cpus}, and the window off them.")
    for label, ready in session.ready.items():
        if ready.input_note:
            found.append(f"Inputs of {session.name(label)}: {ready.input_note}.")
    return found


def _generation(session: Session) -> list[str]:
    plan = session.plan
    if plan is None or plan.generation is None:
        return []
    found = [
        f"A call is one generation: a prefill of {plan.generation.prompt_tokens} tokens, which "
        f"gives the first of {plan.generation.new_tokens} new ones, then one step for each "
        "further token. Each step ends with the greedy choice in host memory; what is fed next is "
        "the same in every lane, drawn from the seed. Batch size 1.",
    ]
    if any(spec.engine is EngineKind.ENDPOINT for spec in plan.engines):
        found.append(
            "An endpoint is asked over HTTP for as many tokens, each request with another prompt "
            "of random words, and its stream is timed as it comes in: network and server "
            "included. It chooses its own tokens. CPU time of others isn't judged in its turns, "
            "since the server may be one of them, and a launch is a new client, not a new server."
        )
    return found


def noise_note(session: Session) -> str:
    """What else the machine did, and what became of the rounds that it disturbed."""
    timed = [r for rounds in session.rounds.values() for r in rounds if r.kind is RoundKind.TIMED]
    if not timed or session.plan is None:
        return ""
    foreign = float(np.mean([turn.foreign_cpu_share for turn in timed]))
    rule = session.plan.noise
    slower = (
        f", or when all lanes take longer than in their quick rounds, {rule.slower_by:.0%} in the "
        "mean, as they do where something outside of this system shares its cores (a launch of "
        "which most rounds are so counts whole)"
        if rule.slower_by is not None
        else ""
    )
    text = (
        f"Other processes took {foreign:.0%} of the CPU during timed rounds on average. A round is "
        f"disturbed when they take more than {rule.foreign_cpu_share:.0%}, a hypervisor more than "
        f"{rule.steal_share:.0%}, when heat or a power brake holds a lane's GPU down{slower}: "
    )
    disturbed = session.disturbances()
    if not disturbed:
        return f"{text}none was.{_unused_traces(session)}"
    who = busiest(session.foreign)
    cause = _most_common(disturbed.values())
    fate = "all take part, since most were" if session.mostly_disturbed() else "set aside"
    return (
        f"{text}{len(disturbed)} of {session.timed_rounds()} rounds were ({fate}); "
        f"mostly, {cause}{f' (above all {who})' if who else ''}.{_unused_traces(session)}"
    )


def _unused_traces(session: Session) -> str:
    """How many traced rounds have no part in operator times, and why; "" for none."""
    reasons = [r for label in session.labels() for r in session.unused_traces(label).values()]
    if not reasons:
        return ""
    traced = sum(len(traces) for traces in session.traces.values())
    return (
        f" Of the lanes' {traced} traced rounds {len(reasons)} have no part in operator times, by "
        f"the same rule; mostly, {_most_common(reasons)}."
    )


def _most_common(reasons: Iterable[str]) -> str:
    """Of what disturbed rounds, without how much."""
    return Counter(reason.split(" took ")[0] for reason in reasons).most_common(1)[0][0]
