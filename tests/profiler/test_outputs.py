"""Output differences between lanes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from profiler.outputs import (
    compare_outputs,
    load_outputs,
    precision_tolerance,
    save_outputs,
)
from profiler.types import EngineKind, EngineSpec, Tolerance


def test_equal_outputs_agree() -> None:
    values = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)
    (found,) = compare_outputs(["y"], [values], [values.copy()])
    assert found.within_tolerance
    assert (found.max_abs, found.max_rel, found.argmax_agreement) == (0.0, 0.0, 1.0)
    assert found.cosine == pytest.approx(1.0)


def test_a_wrong_value_is_found() -> None:
    expected = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)
    (found,) = compare_outputs(
        ["y"], [expected], [expected + np.array([0, 0, -2], dtype=np.float32)]
    )
    assert not found.within_tolerance
    assert found.max_abs == pytest.approx(2.0)
    assert found.argmax_agreement == 0.0


def test_classes_of_a_map_are_its_channels() -> None:
    """Of [batch, classes, height, width] the winner at each place counts, not along a line."""
    expected = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    (same,) = compare_outputs(["y"], [expected], [expected + np.float32(5.0)])
    (turned,) = compare_outputs(["y"], [expected], [expected[:, ::-1].copy()])
    (one_channel,) = compare_outputs(["y"], [expected[:, :1]], [expected[:, :1]])
    middle_wins = float(np.mean(expected.argmax(axis=1) == 1))
    assert same.argmax_agreement == 1.0
    assert turned.argmax_agreement == pytest.approx(middle_wins)
    assert one_channel.argmax_agreement is None


def test_nan_on_one_side_only_is_a_difference() -> None:
    expected = np.ones(3, dtype=np.float32)
    actual = np.array([1, np.nan, np.inf], dtype=np.float32)
    (found,) = compare_outputs(["y"], [expected], [actual])
    assert (found.nan_count, found.inf_count, found.within_tolerance) == (1, 1, False)
    (same,) = compare_outputs(["y"], [actual], [actual])
    assert same.within_tolerance


def test_integers_must_be_equal() -> None:
    expected = np.arange(4)
    (found,) = compare_outputs(["y"], [expected], [expected + np.array([0, 0, 0, 1])])
    assert not found.within_tolerance


def test_shape_and_count_mismatches_are_differences() -> None:
    a, b = np.ones((2, 3)), np.ones((3, 2))
    shape, missing = compare_outputs(["x", "y"], [a, a], [b])
    assert "[2, 3] and [3, 2]" in shape.note
    assert not missing.within_tolerance


def test_half_precision_has_a_wider_bound() -> None:
    expected = np.full(8, 1.0, dtype=np.float32)
    actual = np.full(8, 1.005, dtype=np.float16)
    (found,) = compare_outputs(["y"], [expected], [actual])
    assert found.within_tolerance


def test_a_lanes_precision_widens_the_bound() -> None:
    def lane(**options: str) -> EngineSpec:
        return EngineSpec(label="a", engine=EngineKind.ORT, options={**options})

    assert precision_tolerance(lane(), lane(precision="fp32")) is None
    assert precision_tolerance(lane(), lane(precision="fp16")) == Tolerance(rtol=0.01, atol=0.01)
    both = precision_tolerance(lane(precision="bf16"), lane(precision="int8"))
    assert both == Tolerance(rtol=0.1, atol=0.1)


def test_outputs_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "o.npz"
    save_outputs(path, [np.full(1, i) for i in range(12)])
    assert [int(a[0]) for a in load_outputs(path)] == list(range(12))


def test_texts_are_equal_or_not(tmp_path: Path) -> None:
    """Labels of a classifier, and its maps from label to probability."""
    outputs = [np.array(["cat", "dog"], dtype=object), np.array([{"cat": 0.5}], dtype=object)]
    save_outputs(tmp_path / "a.npz", outputs)
    first = load_outputs(tmp_path / "a.npz")
    assert [array.tolist() for array in first] == [["cat", "dog"], ["{'cat': 0.5}"]]
    same = compare_outputs(["label", "scores"], first, first)
    assert [(d.within_tolerance, d.max_abs) for d in same] == [(True, 0.0)] * 2
    other = [np.array(["cat", "bird"]), first[1]]
    found = compare_outputs(["label", "scores"], first, other)
    assert [d.within_tolerance for d in found] == [False, True]
    assert "differ" in found[0].note
    numbers = [np.array([1.0, 2.0]), first[1]]
    assert not compare_outputs(["label", "scores"], first, numbers)[0].within_tolerance
