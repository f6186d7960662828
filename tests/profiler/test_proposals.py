"""Sizes and values that inputs take by their names."""

from __future__ import annotations

import pytest

from profiler.inputs import make_array
from profiler.proposals import RATE, UNKNOWN_VOCABULARY, propose_input
from profiler.types import Fill


@pytest.mark.parametrize(
    ("name", "dims", "shape"),
    [
        ("image", ["batch", 3, "height", "width"], (1, 3, 224, 224)),
        ("image", ["N", 3, "H", "W"], (1, 3, 224, 224)),
        ("image", [None, 3, None, None], (1, 3, 224, 224)),
        ("image", [1, 3, 96, 96], (1, 3, 96, 96)),
        ("image", ["batch_size", "num_channels", 64, 64], (1, 3, 64, 64)),
        ("input_ids", ["batch", "sequence"], (1, 128)),
        ("input_ids", ["batch_size", "seq_len"], (1, 128)),
        ("input_ids", [None, None], (1, 128)),
        ("past.0.key", ["batch", 12, "past_sequence_length", 64], (1, 12, 0, 64)),
        ("features", ["batch", 768], (1, 768)),
        ("x", [-1, 8], (1, 8)),
        ("x", [0, 8], (1, 8)),
        ("rate", [], ()),
        ("state", [2, None, 128], (2, 1, 128)),
        ("hidden_states", ["batch", "sequence", 768], (1, 128, 768)),
        ("tokens", [None, None], (1, 128)),
    ],
)
def test_sizes(name: str, dims: list[int | str | None], shape: tuple[int, ...]) -> None:
    assert propose_input(name, "float32", dims).shape == shape


def test_symbols_are_kept_and_made_up_where_they_have_no_name() -> None:
    spec = propose_input("image", "float32", [None, 3, "height"])
    assert spec.symbols == ("image_dim0", None, "height")
    # A name that was made up, as it comes back in a spec's symbols, tells no more than None.
    assert propose_input("image", "float32", ["image_dim0", 3, 8, 8]).shape == (1, 3, 8, 8)


def test_a_sample_rate_is_one_that_speech_has() -> None:
    assert make_array(propose_input("sr", "int64", [])).item() == RATE


@pytest.mark.parametrize(
    ("name", "dtype", "vocabulary", "fill", "high"),
    [
        ("image", "float32", None, Fill.NORMAL, 1),
        ("half", "float16", None, Fill.NORMAL, 1),
        ("attention_mask", "int64", None, Fill.ONES, 1),
        ("attention_mask", "float32", None, Fill.ONES, 1),
        ("flag", "bool", None, Fill.ONES, 1),
        ("token_type_ids", "int64", 2, Fill.ZEROS, 1),
        ("input_ids", "int64", 30522, Fill.INTEGERS, 30522),
        ("anything", "int32", 7, Fill.INTEGERS, 7),
        ("input_ids", "int64", None, Fill.INTEGERS, UNKNOWN_VOCABULARY),
        ("position_ids", "int64", None, Fill.INTEGERS, UNKNOWN_VOCABULARY),
        ("sr", "int64", None, Fill.INTEGERS, RATE + 1),
        ("steps", "int64", None, Fill.ONES, 1),
        ("pixels", "uint8", None, Fill.ONES, 1),
    ],
)
def test_values(name: str, dtype: str, vocabulary: int | None, fill: Fill, high: float) -> None:
    spec = propose_input(name, dtype, ["batch", 4], vocabulary)
    assert (spec.fill, spec.high, spec.dtype) == (fill, high, dtype)
