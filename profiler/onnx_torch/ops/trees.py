"""Ensembles of decision trees (ai.onnx.ml): all trees walked side by side, one level at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Array, Value

ML = "ai.onnx.ml"
MODES = {"BRANCH_LEQ": 0, "BRANCH_LT": 1, "BRANCH_GTE": 2, "BRANCH_GT": 3, "BRANCH_EQ": 4}
MODES |= {"BRANCH_NEQ": 5, "LEAF": 7}
MEMBER, LEAF = 6, 7
TRANSFORMS = {0: "NONE", 1: "SOFTMAX", 2: "LOGISTIC", 3: "SOFTMAX_ZERO", 4: "PROBIT"}
AGGREGATES = {0: "AVERAGE", 1: "SUM", 2: "MIN", 3: "MAX"}


@dataclass
class Trees:
    """Nodes of all trees in arrays. A leaf points to itself; `weights` are [node, target].

    `members` are [node, n] for nodes that ask for membership, NaN beyond a node's own.
    """

    modes: Array
    features: Array
    splits: Array
    true_next: Array
    false_next: Array
    missing_true: Array
    members: Array
    weights: Array
    is_set: Array
    roots: Array
    depth: int

    def constants(self) -> list[Array]:
        return [
            self.modes,
            self.features,
            self.splits,
            self.true_next,
            self.false_next,
            self.missing_true,
            self.members,
            self.weights,
            self.is_set,
            self.roots,
        ]


@op("TreeEnsemble", domain=ML)
def tree_ensemble(context: Context, x: Value) -> Value:
    trees = _from_arrays(context)
    how = AGGREGATES[int(context.attribute("aggregate_function", 1))]
    transform = TRANSFORMS[int(context.attribute("post_transform", 0))]
    return _scores(context, x, trees, how, transform, None)


@op("TreeEnsembleRegressor", domain=ML)
def tree_regressor(context: Context, x: Value) -> Value:
    trees = _from_lists(context, "target", int(context.attribute("n_targets", 1)))
    how = context.attribute("aggregate_function", "SUM")
    base = context.attribute("base_values")
    return _scores(context, x, trees, how, context.attribute("post_transform", "NONE"), base)


@op("TreeEnsembleClassifier", domain=ML)
def tree_classifier(context: Context, x: Value) -> tuple[Value, ...]:
    labels = context.attribute("classlabels_int64s")
    if not labels:
        context.refuse("labels that are text")
    targets = set(context.attribute("class_ids"))
    if len(labels) == 2 and len(targets) == 1:
        context.refuse("two classes from one score")
    trees = _from_lists(context, "class", len(labels))
    base = context.attribute("base_values")
    raw = _scores(context, x, trees, "SUM", "NONE", base)
    kind = context.attribute("post_transform", "NONE")
    best = context.call(label_of_best, raw, np.array(labels, dtype=np.int64))
    return best, context.call(transformed, raw, kind)


def label_of_best(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return labels[scores.argmax(-1)]


def _scores(
    context: Context, x: Value, trees: Trees, how: str, transform: str, base: list[float] | None
) -> Value:
    bias = np.array(base, dtype=np.float32) if base else None
    found = context.call(walk, x, trees.constants(), trees.depth, how, bias)
    return found if transform == "NONE" else context.call(transformed, found, transform)


def walk(
    x: torch.Tensor,
    constants: list[torch.Tensor],
    depth: int,
    how: str,
    base: torch.Tensor | None,
) -> torch.Tensor:
    """[rows, targets]: from the roots down, as often as the deepest tree asks for."""
    modes, features, splits, true_next, false_next = constants[:5]
    missing_true, members, weights, is_set, roots = constants[5:]
    at = roots.expand(x.shape[0], -1)
    rows = x.to(splits.dtype)
    for _ in range(depth):
        value = torch.gather(rows, 1, features[at])
        holds = _holds(value, splits[at], modes[at], members[at])
        holds = holds | (missing_true[at] & torch.isnan(value))
        at = torch.where(holds, true_next[at], false_next[at])
    parts, given = weights[at], is_set[at]
    if how in ("MIN", "MAX"):
        end = float("inf") if how == "MIN" else float("-inf")
        parts = torch.where(given, parts, end)
        found = parts.amin(1) if how == "MIN" else parts.amax(1)
    else:
        found = parts.sum(1)
        found = found / roots.shape[0] if how == "AVERAGE" else found
    found = found if base is None else found + base
    return found.to(x.dtype if x.is_floating_point() else torch.float32)


def _holds(
    value: torch.Tensor, split: torch.Tensor, mode: torch.Tensor, members: torch.Tensor
) -> torch.Tensor:
    found = (mode == 0) & (value <= split)
    found = found | ((mode == 1) & (value < split)) | ((mode == 2) & (value >= split))
    found = found | ((mode == 3) & (value > split)) | ((mode == 4) & (value == split))
    found = found | ((mode == 5) & (value != split))
    return found | ((mode == MEMBER) & (value[..., None] == members).any(-1))


def transformed(scores: torch.Tensor, kind: str) -> torch.Tensor:
    """The post transforms of ai.onnx.ml."""
    match kind:
        case "SOFTMAX":
            return torch.softmax(scores, -1)
        case "SOFTMAX_ZERO":
            # A score of 0 stays 0.
            return torch.where(scores == 0, 0.0, torch.softmax(scores, -1))
        case "LOGISTIC":
            return torch.sigmoid(scores)
        case "PROBIT":
            return torch.as_tensor(torch.special.ndtri(scores))
    return scores


def _from_arrays(context: Context) -> Trees:
    """Version 5: leaves apart from nodes."""

    def array(name: str) -> Array:
        found: Array = onnx.numpy_helper.to_array(context.attribute(name))
        return found

    modes, splits = array("nodes_modes").astype(np.int64), array("nodes_splits")
    count, targets = len(modes), np.array(context.attribute("leaf_targetids"))
    weights = array("leaf_weights")
    leaves = len(weights)
    jumps = []
    for side in ("true", "false"):
        ids = np.array(context.attribute(f"nodes_{side}nodeids"), dtype=np.int64)
        is_leaf = np.array(context.attribute(f"nodes_{side}leafs"), dtype=bool)
        jumps.append(
            np.concatenate((np.where(is_leaf, ids + count, ids), count + np.arange(leaves)))
        )
    values = np.zeros((count + leaves, int(context.attribute("n_targets"))), dtype=weights.dtype)
    is_set = np.zeros(values.shape, dtype=bool)
    places = (count + np.arange(leaves), targets)
    values[places], is_set[places] = weights, True
    missing = np.array(context.attribute("nodes_missing_value_tracks_true") or [0] * count)
    more = np.zeros(leaves)
    return _trees(
        np.concatenate((modes, more + LEAF)),
        np.concatenate((context.attribute("nodes_featureids"), more)),
        np.concatenate((splits, more)).astype(splits.dtype),
        (jumps[0], jumps[1]),
        np.concatenate((missing, more)),
        _members(context, modes, count + leaves),
        (values, is_set),
        np.array(context.attribute("tree_roots"), dtype=np.int64),
    )


def _members(context: Context, modes: Array, count: int) -> Array:
    given = context.attribute("membership_values")
    if given is None:
        return np.full((count, 1), np.nan, dtype=np.float32)
    values = onnx.numpy_helper.to_array(given)
    ends = np.flatnonzero(np.isnan(values))
    sets = np.split(values, ends + 1)[: len(ends)]
    found = np.full((count, max(len(s) for s in sets)), np.nan, dtype=values.dtype)
    for node, members in zip(np.flatnonzero(modes == MEMBER), sets, strict=True):
        found[node, : len(members)] = members
    return found


def _from_lists(context: Context, target: str, targets: int) -> Trees:
    """Before version 5: nodes and leaves named by tree and number."""

    def ints(name: str) -> Array:
        return np.array(context.attribute(name), dtype=np.int64)

    if context.attribute("nodes_values_as_tensor") is not None:
        context.refuse("trees of doubles")
    trees, ids = ints("nodes_treeids"), ints("nodes_nodeids")
    index = {pair: i for i, pair in enumerate(zip(trees, ids, strict=True))}
    modes = np.array([MODES[mode] for mode in context.attribute("nodes_modes")])
    jumps = [
        np.array(
            [
                i if mode == LEAF else index[(tree, to)]
                for i, (tree, to, mode) in enumerate(zip(trees, ints(name), modes, strict=True))
            ]
        )
        for name in ("nodes_truenodeids", "nodes_falsenodeids")
    ]
    values = np.zeros((len(ids), targets), dtype=np.float32)
    is_set = np.zeros(values.shape, dtype=bool)
    pairs = zip(ints(f"{target}_treeids"), ints(f"{target}_nodeids"), strict=True)
    rows = np.array([index[pair] for pair in pairs])
    columns = ints(f"{target}_ids")
    np.add.at(values, (rows, columns), np.array(context.attribute(f"{target}_weights")))
    is_set[rows, columns] = True
    targeted = set(jumps[0][modes != LEAF]) | set(jumps[1][modes != LEAF])
    roots = np.array([i for i in range(len(ids)) if i not in targeted], dtype=np.int64)
    missing = context.attribute("nodes_missing_value_tracks_true") or [0] * len(ids)
    return _trees(
        modes,
        ints("nodes_featureids"),
        np.array(context.attribute("nodes_values"), dtype=np.float32),
        (jumps[0], jumps[1]),
        np.array(missing),
        np.full((len(ids), 1), np.nan, dtype=np.float32),
        (values, is_set),
        roots,
    )


def _trees(
    modes: Array,
    features: Array,
    splits: Array,
    jumps: tuple[Array, Array],
    missing: Array,
    members: Array,
    leaves: tuple[Array, Array],
    roots: Array,
) -> Trees:
    depth, at = 0, roots
    is_leaf = modes == LEAF
    while len(at):
        inner = at[~is_leaf[at]]
        at = np.concatenate((jumps[0][inner], jumps[1][inner]))
        depth += bool(len(at))
        if depth > len(modes):
            raise ValueError("the trees have a cycle")
    named: dict[str, Any] = {"modes": modes.astype(np.int64), "features": features.astype(np.int64)}
    return Trees(
        **named,
        splits=splits,
        true_next=jumps[0].astype(np.int64),
        false_next=jumps[1].astype(np.int64),
        missing_true=missing.astype(bool),
        members=members,
        weights=leaves[0],
        is_set=leaves[1],
        roots=roots,
        depth=depth,
    )
