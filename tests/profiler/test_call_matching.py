"""Which calls of two lanes are the same, by module, kind and order."""

from __future__ import annotations

import pytest

from profiler.call_matching import Call, match_calls
from profiler.op_kinds import kind_of


def calls(*texts: str) -> list[Call[str]]:
    """`module/name:kind`; the item is the text itself."""
    found = []
    for text in texts:
        scope, _, rest = text.rpartition("/")
        name, _, kind = rest.partition(":")
        found.append(Call(items=(text,), name=name, kind=kind, scopes=(scope,)))
    return found


def matched(left: list[Call[str]], right: list[Call[str]]) -> set[tuple[str, ...]]:
    return {(*one, *other) for one, other in match_calls(left, right)}


def test_same_name_module_and_kind() -> None:
    found = matched(calls("a/linear:matmul", "b/linear_1:matmul"), calls("a/linear:matmul"))
    assert found == {("a/linear:matmul", "a/linear:matmul")}


def test_a_name_of_another_kind_or_module_counts_for_nothing() -> None:
    left = calls("a/view:view", "a/add:add", "b/x:mul")
    right = calls("a/add:view", "a/view:add", "c/x:mul")
    assert matched(left, right) == {("a/view:view", "a/add:view"), ("a/add:add", "a/view:add")}


def test_names_that_exporters_numbered_anew_follow_the_order() -> None:
    left = calls("a/mul:mul", "a/mul_1:mul", "a/add:add")
    right = calls("a/mul_7:mul", "a/mul:mul", "a/add_3:add")
    assert ("a/add:add", "a/add_3:add") in matched(left, right)


def test_what_lies_between_two_pairs_goes_together() -> None:
    left = calls("a/linear:matmul", "a/sdpa:attention", "a/out:matmul")
    right = calls("a/linear:matmul", "a/p:softmax", "a/q:mul", "a/out:matmul")
    assert ("a/sdpa:attention", "a/p:softmax", "a/q:mul") in matched(left, right)


def test_little_that_one_has_alone_goes_with_the_pair_before() -> None:
    left = calls("a/linear:matmul", "a/relu:relu", "a/out:matmul")
    right = calls("a/linear:matmul", "a/out:matmul")
    assert ("a/relu:relu", "a/linear:matmul") in matched(left, right)


def test_much_that_one_has_alone_is_a_part_of_its_own() -> None:
    extra = ("a/e1:mul", "a/e2:add", "a/e3:mul")
    left = calls("a/linear:matmul", *extra, "a/out:matmul")
    right = calls("a/linear:matmul", "a/out:matmul")
    assert extra in matched(left, right)


def test_a_module_where_nothing_is_alike_goes_together() -> None:
    assert matched(calls("n/bn:batch_norm"), calls("n/mul:mul", "n/add:add")) == {
        ("n/bn:batch_norm", "n/mul:mul", "n/add:add")
    }


@pytest.mark.parametrize("swap", [False, True])
def test_an_outer_module_that_one_lane_has_is_left_out(swap: bool) -> None:
    plain = calls("encoder.0/l:matmul", "head/l:matmul")
    wrapped = calls("model.encoder.0/l:matmul", "model.head/l:matmul")
    found = matched(wrapped, plain) if swap else matched(plain, wrapped)
    assert len(found) == 2


def test_a_lane_that_knows_no_modules_is_matched_by_order() -> None:
    left = calls("/k1:conv", "/k2:matmul")
    right = calls("a/c:conv", "b/l:matmul")
    assert matched(left, right) == {("/k1:conv", "a/c:conv"), ("/k2:matmul", "b/l:matmul")}


def test_order_decides_between_calls_of_one_kind() -> None:
    left = calls("/a:matmul", "/b:relu", "/c:matmul", "/d:add")
    right = calls("m/1:matmul", "m/2:view", "m/3:relu", "m/4:matmul", "m/5:add")
    assert {("/a:matmul", "m/1:matmul"), ("/c:matmul", "m/4:matmul")} <= matched(left, right)


def test_long_lists_are_matched_by_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiler.call_matching.MOST_PAIRS", 1)
    left, right = calls("/a:matmul", "/b:relu"), calls("m/1:matmul", "m/2:relu")
    assert matched(left, right) == {("/a:matmul", "m/1:matmul"), ("/b:relu", "m/2:relu")}


@pytest.mark.parametrize(
    ("op_type", "kind"),
    [
        ("Conv", "conv"),
        ("com.microsoft.nchwc::Conv", "conv"),
        ("aten::conv2d", "conv"),
        ("aten::relu_", "relu"),
        ("aten::_native_batch_norm_legit_no_training", "batch_norm"),
        ("graph_0_cpp_fused_add_native_layer_norm_view_3", "layer_norm"),
        ("graph_1_cpp_fused_max_pool2d_with_indices_relu_1", "max_pool"),
        ("graph_0_cpp_fused_mul_view_0", "mul"),
        ("SomethingNew", "somethingnew"),
    ],
)
def test_kinds_of_operators(op_type: str, kind: str) -> None:
    assert kind_of(op_type) == kind
