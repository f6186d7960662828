"""Classical machine learning (ai.onnx.ml) on numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.trees import ML, label_of_best, transformed
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Array, Value


def _floats(context: Context, name: str) -> Array | None:
    found = context.attribute(name)
    return np.array(found, dtype=np.float32) if found else None


@op("ArrayFeatureExtractor", domain=ML)
def extract(context: Context, x: Value, indices: Value) -> Value:
    return context.call(columns_of, x, indices)


def columns_of(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    x = x.unsqueeze(0) if x.dim() == 1 else x
    return torch.index_select(x, -1, indices.reshape(-1))


@op("Binarizer", domain=ML)
def binarize(context: Context, x: Value) -> Value:
    return context.call(above, x, float(context.attribute("threshold", 0.0)))


def above(x: torch.Tensor, threshold: float) -> torch.Tensor:
    return (x > threshold).to(x.dtype)


@op("Scaler", domain=ML)
def scale(context: Context, x: Value) -> Value:
    return context.call(scaled, x, _floats(context, "offset"), _floats(context, "scale"))


def scaled(
    x: torch.Tensor, offset: torch.Tensor | None, factor: torch.Tensor | None
) -> torch.Tensor:
    wide = x.to(torch.float32)
    wide = wide if offset is None else wide - offset
    return wide if factor is None else wide * factor


@op("Imputer", domain=ML)
def impute(context: Context, x: Value) -> Value:
    floats = context.attribute("imputed_value_floats")
    if not floats:
        context.refuse("integers")
    missing = float(context.attribute("replaced_value_float", 0.0))
    return context.call(imputed, x, np.array(floats, dtype=np.float32), missing)


def imputed(x: torch.Tensor, values: torch.Tensor, missing: float) -> torch.Tensor:
    is_missing = torch.isnan(x) if math.isnan(missing) else x == missing
    return torch.where(is_missing, values.to(x.dtype), x)


@op("Normalizer", domain=ML)
def normalize(context: Context, x: Value) -> Value:
    return context.call(normalized, x, context.attribute("norm", "MAX"))


def normalized(x: torch.Tensor, norm: str) -> torch.Tensor:
    wide = x.to(torch.float32)
    match norm:
        case "MAX":
            size = wide.amax(-1, keepdim=True)
        case "L1":
            size = wide.abs().sum(-1, keepdim=True)
        case _:
            size = (wide * wide).sum(-1, keepdim=True).sqrt()
    return wide / torch.where(size == 0, 1.0, size)


@op("FeatureVectorizer", domain=ML)
def join(context: Context, *values: Value) -> Value:
    return context.call(joined, list(values))


def joined(values: list[torch.Tensor]) -> torch.Tensor:
    wide = [v.to(torch.float32) for v in values]
    return torch.cat([v.unsqueeze(0) if v.dim() == 1 else v for v in wide], -1)


@op("LinearRegressor", domain=ML)
def linear_regressor(context: Context, x: Value) -> Value:
    targets = int(context.attribute("targets", 1))
    weights = _floats(context, "coefficients")
    if weights is None:
        context.refuse("no coefficients")
    kind = context.attribute("post_transform", "NONE")
    matrix = weights.reshape(targets, -1)
    return context.call(linear_scores, x, matrix, _floats(context, "intercepts"), kind)


def linear_scores(
    x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, kind: str
) -> torch.Tensor:
    return transformed(torch.nn.functional.linear(x.to(torch.float32), weights, bias), kind)


@op("LinearClassifier", domain=ML)
def linear_classifier(context: Context, x: Value) -> tuple[Value, ...]:
    labels = context.attribute("classlabels_ints")
    weights, bias = _floats(context, "coefficients"), _floats(context, "intercepts")
    if not labels or weights is None:
        context.refuse("labels that are text")
    matrix = weights.reshape(-1, weights.size // max(len(bias) if bias is not None else 1, 1))
    if matrix.shape[0] != len(labels):
        context.refuse("two classes from one score")
    raw = context.call(linear_scores, x, matrix, bias, "NONE")
    best = context.call(label_of_best, raw, np.array(labels, dtype=np.int64))
    return best, context.call(transformed, raw, context.attribute("post_transform", "NONE"))


@op("OneHotEncoder", domain=ML)
def one_hot(context: Context, x: Value) -> Value:
    kinds = context.attribute("cats_int64s")
    if not kinds or not context.flag("zeros", 1):
        context.refuse("text, or an error for what is unknown")
    return context.call(one_hot_of, x, np.array(kinds, dtype=np.int64))


def one_hot_of(x: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    return (x.unsqueeze(-1).to(torch.int64) == kinds).to(torch.float32)


@op("LabelEncoder", domain=ML)
def encode(context: Context, x: Value) -> Value:
    keys, values = (_table(context, name) for name in ("keys", "values"))
    if keys is None or values is None:
        context.refuse("text")
    return context.call(looked_up, x, keys, values, _default(context, values))


def _table(context: Context, name: str) -> Array | None:
    tensor = context.attribute(f"{name}_tensor")
    if tensor is not None:
        found: Array = onnx.numpy_helper.to_array(tensor)
        return found if found.dtype.kind in "iuf" else None
    for kind, dtype in (("int64s", np.int64), ("floats", np.float32)):
        given = context.attribute(f"{name}_{kind}")
        if given:
            return np.array(given, dtype=dtype)
    return None


def _default(context: Context, values: Array) -> Any:
    tensor = context.attribute("default_tensor")
    if tensor is not None:
        return onnx.numpy_helper.to_array(tensor).reshape(-1)[0].item()
    if values.dtype.kind == "f":
        return float(context.attribute("default_float", -0.0))
    return int(context.attribute("default_int64", -1))


def looked_up(
    x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, default: Any
) -> torch.Tensor:
    """The value of the first key that is equal; NaN is a key as well."""
    same = x.unsqueeze(-1) == keys
    if x.is_floating_point():
        same = same | (torch.isnan(x).unsqueeze(-1) & torch.isnan(keys))
    index = same.to(torch.int64).argmax(-1)
    missing = torch.tensor(default, dtype=values.dtype, device=x.device)
    return torch.where(same.any(-1), values[index], missing)


@op("TfIdfVectorizer")
def count_grams(context: Context, x: Value) -> Value:
    pool, mode = context.attribute("pool_int64s"), context.attribute("mode")
    if not pool:
        context.refuse("text")
    sizes = [int(context.attribute(f"{end}_gram_length")) for end in ("min", "max")]
    grams, slots = _grams(list(pool), list(context.attribute("ngram_counts")), sizes, context)
    weights = context.attribute("weights")
    width = max(context.attribute("ngram_indexes")) + 1
    factors = np.ones(width, dtype=np.float32)
    if weights:
        factors[: len(weights)] = weights[:width]
    skips = int(context.attribute("max_skip_count"))
    return context.call(gram_counts, x, grams, slots, factors, skips, mode)


def _grams(
    pool: list[int], counts: list[int], sizes: list[int], context: Context
) -> tuple[list[list[int]], list[int]]:
    """Sequences to count, and the output's column of each."""
    columns = context.attribute("ngram_indexes")
    grams, slots, number = [], [], 0
    for position, start in enumerate(counts):
        size = position + 1
        end = counts[size] if size < len(counts) else len(pool)
        for at in range(start, end, size):
            if sizes[0] <= size <= sizes[1]:
                grams.append(pool[at : at + size])
                slots.append(columns[number])
            number += 1
    return grams, slots


def gram_counts(
    x: torch.Tensor,
    grams: list[list[int]],
    slots: list[int],
    factors: torch.Tensor,
    skips: int,
    mode: str,
) -> torch.Tensor:
    """How often each sequence stands in a row, with up to `skips` elements left out between."""
    rows = x.reshape(1, -1) if x.dim() < 2 else x
    found = torch.zeros(rows.shape[0], factors.shape[0], device=x.device)
    for gram, slot in zip(grams, slots, strict=True):
        for distance in range(1, skips + 2 if len(gram) > 1 else 2):
            count = rows.shape[1] - distance * (len(gram) - 1)
            if count <= 0:
                break
            same = torch.ones(rows.shape[0], count, dtype=torch.bool, device=x.device)
            for i, element in enumerate(gram):
                same = same & (rows[:, i * distance : i * distance + count] == element)
            found[:, slot] += same.sum(-1)
    match mode:
        case "IDF":
            found = (found > 0).to(torch.float32) * factors
        case "TFIDF":
            found = found * factors
    return found[0] if x.dim() < 2 else found
