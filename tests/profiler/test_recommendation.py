"""Every branch of the recommendation, on sessions whose figures are known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from profiler.compare import MIN_ROUNDS
from profiler.recommendation import Outcome, Recommendation, recommend
from profiler.session import Session
from profiler.types import (
    CostSettings,
    EngineKind,
    EngineSpec,
    GenerationPlan,
    Goal,
    GraphDescribed,
    GraphNode,
    InputSpec,
    ModelConverted,
    ModelGraph,
    ModelKind,
)
from tests.decision_sessions import (
    EAGER,
    ORT,
    compared,
    failed,
    multiplied_bytes,
    rounds,
    session,
    source,
)

COMPILED = EngineSpec(label="compiled", engine=EngineKind.TORCH_COMPILE)
SCRIPT = EngineSpec(label="script", engine=EngineKind.TORCH_SCRIPT)


def answer(found: Session) -> Recommendation:
    recommended = recommend(found)
    assert recommended is not None
    return recommended


def texts(found: Recommendation) -> str:
    return "\n".join(reason.text for reason in found.reasons)


def test_nothing_measured_nothing_recommended() -> None:
    assert recommend(Session()) is None
    assert recommend(session()) is None


def test_the_faster_lane_with_figures_of_the_session() -> None:
    found = session(*rounds("eager", 8.0), *rounds("onnx", 4.0), compared("eager", "onnx"))
    result = answer(found)
    assert (result.outcome, result.label, result.configuration) == (Outcome.BEST, "onnx", "ort")
    assert result.sentence == "For latency: use onnx, p50 4 ms."
    (comparison,) = found.comparisons()
    cited = {(c.figure, c.label): c.value for reason in result.reasons for c in reason.cites}
    assert cited[("latency_ns.p50", "onnx")] == 4e6
    assert cited[("ratio.value", "onnx/eager")] == pytest.approx(comparison.speedup)
    assert cited[("ratio.low", "onnx/eager")] == pytest.approx(comparison.low)
    assert cited[("ratio.high", "onnx/eager")] == pytest.approx(comparison.high)
    assert "onnx is 2.000× faster than eager [1.9" in texts(result)
    assert "160 paired rounds of 8 launches" in texts(result)
    assert "within tolerance" in result.outputs and "1e-06" in result.outputs


def test_of_lanes_that_are_the_same_the_one_without_conversion_wins() -> None:
    found = session(*rounds("eager", 4.0), *rounds("onnx", 3.99))
    result = answer(found)
    assert found.comparisons()[0].verdict == "same"
    assert (result.outcome, result.label) == (Outcome.SIMPLER, "eager")
    assert result.sentence == (
        "For latency: use eager. It is as fast as onnx and needs no conversion."
    )
    assert "onnx needs a conversion to ONNX; eager does not" in texts(result)


def test_the_file_decides_which_lane_needs_no_conversion() -> None:
    found = session(*rounds("eager", 4.0), *rounds("onnx", 4.0), kind=ModelKind.ONNX)
    result = answer(found)
    assert (result.outcome, result.label) == (Outcome.SIMPLER, "onnx")
    assert "eager needs the ONNX file imported into PyTorch" in texts(result)


def test_without_conversions_the_lane_that_compiles_nothing_wins() -> None:
    lanes = (COMPILED, EAGER)
    result = answer(session(*rounds("eager", 4.0), *rounds("compiled", 4.0), lanes=lanes))
    assert (result.outcome, result.label) == (Outcome.SIMPLER, "eager")
    assert "needs no compiling" in result.sentence


def test_fewer_options_are_simpler() -> None:
    tuned = EngineSpec(label="tuned", engine=EngineKind.ORT, options={"intra_op_threads": 1})
    events = (*rounds("tuned", 4.0), *rounds("onnx", 4.0))
    result = answer(session(*events, lanes=(tuned, ORT), kind=ModelKind.ONNX))
    assert (result.outcome, result.label) == (Outcome.SIMPLER, "onnx")
    faster = answer(session(*rounds("tuned", 3.0), *rounds("onnx", 4.0), lanes=(tuned, ORT)))
    assert faster.configuration == "ort,intra_op_threads=1"


def test_unresolved_keeps_the_simpler_lane_for_now() -> None:
    one: dict[str, Any] = {"jitter": 0.4, "launches": 1}
    found = session(*rounds("eager", 4.1, **one), *rounds("onnx", 4.0, **one))
    assert found.comparisons()[0].verdict == "unresolved"
    result = answer(found)
    assert (result.outcome, result.label) == (Outcome.UNRESOLVED, "eager")
    assert result.sentence == (
        "For latency: unresolved. Keep eager, which needs no conversion, until more is measured."
    )
    assert "is unresolved: ratio within [" in texts(result)
    assert any("one launch" in text for text in result.cautions)


def test_few_rounds_are_unresolved() -> None:
    few: dict[str, Any] = {"launches": 1, "count": MIN_ROUNDS - 4}
    found = session(*rounds("eager", 8.0, **few), *rounds("onnx", 4.0, **few))
    assert answer(found).outcome is Outcome.UNRESOLVED
    assert "too little was measured" in texts(answer(found))


def test_a_third_lane_is_compared_with_the_best_and_not_with_the_baseline() -> None:
    lanes = (EAGER, ORT, COMPILED)
    events = (*rounds("eager", 8.0), *rounds("onnx", 4.0), *rounds("compiled", 4.02))
    result = answer(session(*events, lanes=lanes))
    # The compiled lane is as fast as the exported one, and needs no conversion.
    assert (result.outcome, result.label) == (Outcome.SIMPLER, "compiled")
    assert "compiled is 1.990× faster than eager" in texts(result)


@pytest.mark.parametrize(
    ("kind", "left", "refused"),
    [(ModelKind.PICKLED_MODULE, "eager", "onnx"), (ModelKind.ONNX, "onnx", "eager")],
)
def test_a_conversion_that_changes_outputs_is_not_recommended(
    kind: ModelKind, left: str, refused: str
) -> None:
    """Whichever is faster: the lane that runs the file as it is gives what the model gives."""
    for eager, ort in ((8.0, 4.0), (4.0, 8.0)):
        events = (*rounds("eager", eager), *rounds("onnx", ort))
        found = session(*events, compared("eager", "onnx", agree=False), kind=kind)
        result = answer(found)
        assert (result.outcome, result.label) == (Outcome.ALONE, left)
        assert any(text.startswith(f"{refused} isn't recommended") for text in result.cautions)
        assert "PAST TOLERANCE" in result.outputs


@pytest.mark.parametrize(
    ("instructions", "left", "barred"),
    [("fma avx2", "eager", "onnx"), ("avx2 avx_vnni", "onnx", "eager")],
)
def test_sums_that_may_overflow_are_not_the_reference(
    instructions: str, left: str, barred: str
) -> None:
    """The file's own engine gives what the model gives, but for its arithmetic on this CPU."""
    found = session(
        *rounds("eager", 8.0),
        *rounds("onnx", 4.0),
        multiplied_bytes("onnx"),
        compared("eager", "onnx", agree=False),
        kind=ModelKind.ONNX,
        environment={"cpu instructions": instructions},
    )
    result = answer(found)
    assert (result.outcome, result.label) == (Outcome.ALONE, left)
    (caution,) = [text for text in result.cautions if "isn't recommended" in text]
    assert caution.startswith(barred)
    assert ("may overflow" in caution) == (barred == "onnx")


def test_where_both_lanes_have_files_of_their_own_the_baseline_is_right() -> None:
    quantized = EngineSpec(label="int8", engine=EngineKind.ORT, model=source(ModelKind.ONNX))
    found = session(
        *rounds("onnx", 8.0),
        *rounds("int8", 4.0),
        compared("onnx", "int8", agree=False),
        lanes=(ORT, quantized),
        kind=ModelKind.ONNX,
    )
    assert answer(found).label == "onnx"


def test_a_failed_lane() -> None:
    result = answer(session(*rounds("eager", 8.0), failed("onnx")))
    assert (result.outcome, result.label) == (Outcome.ALONE, "eager")
    assert any("onnx failed" in text and "No such operator" in text for text in result.cautions)
    assert result.outputs == "Outputs were not compared"


def test_no_lane_is_left() -> None:
    broken = session(*rounds("eager", 8.0), failed("onnx"), failed("eager"))
    assert answer(broken).outcome is Outcome.NONE
    assert answer(broken).label == answer(broken).configuration == ""


def test_one_lane_alone() -> None:
    result = answer(session(*rounds("eager", 8.0), lanes=(EAGER,)))
    assert (result.outcome, result.label) == (Outcome.ALONE, "eager")
    assert "ONNX Runtime" in result.not_measured


def test_a_disturbed_run_holds_under_that_load() -> None:
    events = (*rounds("eager", 8.0, foreign=0.9), *rounds("onnx", 4.0, foreign=0.9))
    found = session(*events)
    assert found.mostly_disturbed()
    assert "under that load only" in answer(found).cautions[0]


def test_throughput_is_of_one_caller() -> None:
    found = session(*rounds("eager", 8.0), *rounds("onnx", 4.0), goal=Goal.THROUGHPUT)
    result = answer(found)
    assert (result.outcome, result.label) == (Outcome.BEST, "onnx")
    assert result.sentence == "For throughput: use onnx, 1000 samples/s with one caller."
    assert any(text.startswith("Several callers at once") for text in result.not_measured)


def test_throughput_of_callers_at_once_is_that_of_their_turns() -> None:
    """Three callers of 9 ms each end a call every 3 ms: more than one caller of 4 ms."""
    together = msgspec.structs.replace(EAGER, options={"callers": 3})
    turns = [
        msgspec.structs.replace(turn, duration_ns=3_000_000 * len(turn.latencies_ns))
        for turn in rounds("eager", 9.0)
    ]
    lanes = (together, ORT)
    found = session(*turns, *rounds("onnx", 4.0), lanes=lanes, goal=Goal.THROUGHPUT)
    result = answer(found)
    assert (result.outcome, result.label) == (Outcome.BEST, "eager")
    assert "1333 samples/s with 3 callers at once" in result.sentence
    assert "Other numbers of callers at once than 1, 3" in result.not_measured
    assert answer(session(*turns, *rounds("onnx", 4.0), lanes=lanes)).label == "onnx"


def test_spikes_count_in_throughput_and_not_in_latency() -> None:
    """One round in ten of a lane takes five times as long: its p50 is lower, its mean is not."""
    spiky = [
        msgspec.structs.replace(r, latencies_ns=tuple(5 * v for v in r.latencies_ns))
        if r.index % 10 == 3
        else r
        for r in rounds("onnx", 3.6)
    ]
    latency = answer(session(*rounds("eager", 4.0), *spiky))
    assert (latency.outcome, latency.label) == (Outcome.BEST, "onnx")
    assert any("p99 is surely higher" in text for text in latency.cautions)
    throughput = answer(session(*rounds("eager", 4.0), *spiky, goal=Goal.THROUGHPUT))
    assert (throughput.outcome, throughput.label) == (Outcome.BEST, "eager")
    tail = answer(session(*rounds("eager", 4.0), *spiky, goal=Goal.P99))
    assert tail.label == "eager"


def test_p99_with_too_few_iterations() -> None:
    few: dict[str, Any] = {"calls": 2}
    events = (*rounds("eager", 8.0, **few), *rounds("onnx", 4.0, **few))
    result = answer(session(*events, goal=Goal.P99))
    assert result.outcome is Outcome.UNRESOLVED
    assert "onnx has 320 iterations; the upper end of a p99 takes at least 368" in texts(result)


def test_p99_with_enough() -> None:
    result = answer(session(*rounds("eager", 8.0), *rounds("onnx", 4.0), goal=Goal.P99))
    assert (result.outcome, result.label) == (Outcome.BEST, "onnx")
    assert result.sentence.startswith("For p99 latency: use onnx, p99 4.000 [3.9")
    assert any("under load" in text for text in result.not_measured)


def test_cost_asks_for_a_price() -> None:
    result = answer(session(*rounds("eager", 8.0), *rounds("onnx", 4.0), goal=Goal.COST))
    assert (result.outcome, result.label) == (Outcome.ASK, "")
    assert result.sentence == "For cost: tell the price per hour of the machine."
    assert "Whatever the price, onnx saves 50 % of the machine hours" in texts(result)


def test_cost_with_a_price() -> None:
    priced = CostSettings(prices={"cpu": 3.6}, currency="EUR", utilization=1.0)
    events = (*rounds("eager", 8.0), *rounds("onnx", 4.0))
    result = answer(session(*events, goal=Goal.COST, cost=priced))
    assert (result.outcome, result.label) == (Outcome.BEST, "onnx")
    # A million in fours, 4 ms each, are 1000 s.
    assert result.sentence == "For cost: use onnx, 1 EUR per million inferences."


def test_the_faster_device_may_cost_more() -> None:
    gpu = EngineSpec(label="onnx", engine=EngineKind.ORT, device="cuda:0")
    priced = CostSettings(prices={"cpu": 1.0, "cuda": 4.0})
    events = (*rounds("eager", 8.0), *rounds("onnx", 4.0))
    result = answer(session(*events, goal=Goal.COST, cost=priced, lanes=(EAGER, gpu)))
    assert (result.outcome, result.label) == (Outcome.BEST, "eager")
    assert "eager is 2.000× cheaper than onnx" in texts(result)


def test_memory() -> None:
    events = (*rounds("eager", 4.0, peak_mib=900), *rounds("onnx", 8.0, peak_mib=300))
    result = answer(session(*events, goal=Goal.MEMORY))
    assert (result.outcome, result.label) == (Outcome.BEST, "onnx")
    assert result.sentence == "For memory: use onnx, 300 MiB of memory at its peak."
    latency = answer(session(*events))
    assert latency.label == "eager"
    assert any("900 MiB against 300 MiB" in text for text in latency.cautions)


def test_gpu_memory_that_was_not_read_is_unresolved() -> None:
    gpu = EngineSpec(label="onnx", engine=EngineKind.ORT, device="cuda:0")
    events = (*rounds("eager", 4.0), *rounds("onnx", 8.0))
    result = answer(session(*events, goal=Goal.MEMORY, lanes=(EAGER, gpu)))
    assert result.outcome is Outcome.UNRESOLVED
    assert "of onnx" in result.sentence


def test_portability_goes_by_what_a_form_needs_and_tells_its_price() -> None:
    lanes = (EAGER, SCRIPT, ORT)
    events = (*rounds("eager", 4.0), *rounds("script", 4.5), *rounds("onnx", 8.0))
    result = answer(session(*events, lanes=lanes, goal=Goal.PORTABILITY))
    assert (result.outcome, result.label) == (Outcome.BEST, "onnx")
    assert "without Python" in result.sentence
    assert "eager looks better: ratio 0.50" in texts(result)
    assert "Other machines: nothing ran anywhere but here" in result.not_measured


def test_operators_outside_of_the_standard_are_less_portable() -> None:
    graph = ModelGraph(nodes=(GraphNode(name="y", op_type="com.microsoft::BiasGelu"),))
    described = GraphDescribed(time_ns=6, label="onnx", sha256="", graph=graph)
    events = (*rounds("eager", 4.0), *rounds("onnx", 4.0), described)
    result = answer(session(*events, goal=Goal.PORTABILITY))
    assert any("com.microsoft::BiasGelu" in text for text in result.cautions)


def test_a_lane_that_compiles_says_how_long() -> None:
    found = session(
        *rounds("eager", 8.0),
        *rounds("compiled", 4.0),
        lanes=(EAGER, COMPILED),
        compile_ns={"compiled": 12_000_000_000},
    )
    assert "compiled compiles for 12 s at every start" in answer(found).cautions


def test_sizes_that_the_conversion_fixed() -> None:
    note = "Dynamic: none. Fixed by the conversion: image[0] = 4."
    again = ModelConverted(time_ns=4, model=source(), labels=("onnx",), notes=(note,))
    result = answer(session(*rounds("eager", 8.0), *rounds("onnx", 4.0), again))
    assert "The converted file takes these sizes only: image[0] = 4" in result.cautions


def test_generated_text_was_measured_at_its_numbers_of_tokens() -> None:
    found = session(*rounds("eager", 8.0), *rounds("onnx", 4.0), inputs=())
    assert found.plan is not None
    generation = GenerationPlan(prompt_tokens=24, new_tokens=16)
    found.plan = msgspec.structs.replace(found.plan, generation=generation)
    missing = " ".join(answer(found).not_measured)
    assert "Prompts of another length than 24 tokens" in missing
    assert "()" not in missing


def test_a_language_model_is_more_than_one_call() -> None:
    cache = InputSpec(name="past_key_values.0.key", dtype="float32", shape=(1, 4, 8, 16))
    found = session(*rounds("eager", 8.0), *rounds("onnx", 4.0), inputs=(cache,))
    result = answer(found)
    assert result.model_type.type == "autoregressive"
    assert any("token by token" in text for text in result.cautions)
    assert "Prefill and decoding with a key-value cache" in result.not_measured
