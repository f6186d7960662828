"""What is set up in the window is the plan that a session was measured with."""

from __future__ import annotations

import msgspec

from gui.main_window import MainWindow
from gui.plan_draft import PlanDraft
from profiler.generation.plan import generation_lanes
from profiler.lanes import parse_lane
from profiler.types import CacheLayout, ModelInfo, StoppingRule, Tolerance
from tests.gui.driving import DEMO, demo_plan


def test_a_session_s_plan_is_run_again_as_it_was(window: MainWindow) -> None:
    tolerance = Tolerance(rtol=0.1, atol=0.2)
    stopping = StoppingRule(time_limit_s=7.0, target_width=0.05)
    plan = msgspec.structs.replace(demo_plan(DEMO), stopping=stopping, seed=11, tolerance=tolerance)
    window.draft.set_plan(plan)
    again = window.draft.plan()
    assert (again.stopping, again.seed, again.tolerance) == (stopping, 11, tolerance)
    assert (window.model_panel.time_limit.value(), window.model_panel.target.value()) == (7.0, 5.0)


def test_another_model_takes_over_the_limits_only() -> None:
    draft, plan = PlanDraft(), demo_plan(DEMO, time_limit_s=7.0)
    draft.set_plan(msgspec.structs.replace(plan, seed=11, tolerance=Tolerance(rtol=1, atol=1)))
    draft.set_model(ModelInfo(source=plan.model, inputs=plan.inputs, outputs=()))
    again = draft.plan()
    assert (again.stopping.time_limit_s, again.seed, again.tolerance) == (7.0, 0, None)


def test_lanes_of_single_calls_are_not_kept_for_text() -> None:
    """ONNX Runtime takes both, but not with the same options."""
    draft, plan = PlanDraft(), demo_plan(DEMO)
    draft.set_plan(plan)
    draft.add_engine(parse_lane("small=ort,precision=int8"))
    layout = CacheLayout(convention="", vocabulary=50)
    draft.set_model(ModelInfo(source=plan.model, inputs=(), outputs=(), generation=layout))
    assert draft.engines == generation_lanes()
