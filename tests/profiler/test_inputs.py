"""What a person writes about inputs, and the arrays that come of it."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from profiler.errors import InputError
from profiler.inputs import (
    DTYPES,
    apply_overrides,
    describe_shape,
    make_array,
    make_arrays,
    numpy_dtype,
    replace,
    with_dtype,
    with_shape,
    with_symbol,
)
from profiler.types import Fill, InputSpec

IMAGE = InputSpec(
    name="image",
    dtype="float32",
    shape=(1, 3, 8, 8),
    symbols=("batch", None, "height", "width"),
)
IDS = InputSpec(
    name="ids",
    dtype="int64",
    shape=(1, 16),
    symbols=("batch", "sequence"),
    fill=Fill.INTEGERS,
    high=50.0,
)
MASK = msgspec.structs.replace(IDS, name="mask", fill=Fill.ONES, high=1.0)


def by_name(specs: tuple[InputSpec, ...], name: str) -> InputSpec:
    (found,) = [spec for spec in specs if spec.name == name]
    return found


# --- values -----------------------------------------------------------------------------------


def test_the_same_specs_give_the_same_values() -> None:
    first, second = make_arrays([IMAGE, IDS]), make_arrays([IDS, IMAGE])
    assert all(np.array_equal(first[name], second[name]) for name in ("image", "ids"))


def test_inputs_differ_by_name_and_by_seed() -> None:
    other = msgspec.structs.replace(IMAGE, name="other")
    seeded = msgspec.structs.replace(IMAGE, seed=1)
    value = make_array(IMAGE)
    assert not np.array_equal(value, make_array(other))
    assert not np.array_equal(value, make_array(seeded))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill", [fill for fill in Fill if fill is not Fill.FILE])
def test_every_fill_in_every_dtype(dtype: str, fill: Fill) -> None:
    spec = InputSpec(name="x", dtype=dtype, shape=(2, 3), fill=fill, high=5.0)
    array = make_array(spec)
    assert array.shape == (2, 3)
    assert array.dtype.name == dtype
    assert np.isfinite(array.astype(np.float64)).all()


def test_integers_stay_under_the_vocabulary() -> None:
    spec = msgspec.structs.replace(IDS, shape=(64, 64), low=3.0, high=7.0)
    assert set(np.unique(make_array(spec))) == {3, 4, 5, 6}


def test_integers_of_an_empty_range_are_its_low_end() -> None:
    spec = msgspec.structs.replace(IDS, low=4.0, high=4.0)
    assert set(np.unique(make_array(spec))) == {4}


def test_uniform_stays_in_its_bounds() -> None:
    spec = msgspec.structs.replace(IMAGE, fill=Fill.UNIFORM, low=-2.0, high=-1.0)
    array = make_array(spec)
    assert array.min() >= -2.0
    assert array.max() <= -1.0


def test_a_scalar_and_an_empty_input() -> None:
    scalar = InputSpec(name="rate", dtype="int64", shape=(), fill=Fill.ONES)
    assert make_array(scalar).item() == 1
    past = InputSpec(name="past", dtype="float32", shape=(1, 2, 0, 4))
    assert make_array(past).shape == (1, 2, 0, 4)


def test_an_unknown_dtype_lists_what_is_known() -> None:
    with pytest.raises(InputError) as caught:
        numpy_dtype("float31")
    assert "float32" in caught.value.hint
    assert caught.value.exit_code == 6


# --- what a person writes ---------------------------------------------------------------------


def test_dims_and_dtype() -> None:
    (spec,) = apply_overrides([IMAGE], ["image=float32[2,3,16,32]"])
    assert spec.shape == (2, 3, 16, 32)


def test_dims_alone_with_spaces() -> None:
    (spec,) = apply_overrides([IMAGE], ["image=[2, 3, 8, 8]"])
    assert spec.shape == (2, 3, 8, 8)


def test_dtype_alone_changes_nothing() -> None:
    assert apply_overrides([IMAGE], ["image=float32"]) == (IMAGE,)


def test_a_dimension_of_one_symbol_changes_everywhere() -> None:
    specs = apply_overrides([IMAGE, IDS, MASK], ["ids=[4,32]"])
    assert by_name(specs, "ids").shape == by_name(specs, "mask").shape == (4, 32)
    assert by_name(specs, "image").shape == (4, 3, 8, 8)


def test_the_last_word_counts() -> None:
    specs = apply_overrides([IDS, MASK], ["ids=[4,32]", "mask=[2,32]"])
    assert {spec.shape for spec in specs} == {(2, 32)}


def test_a_name_with_signs_in_it() -> None:
    odd = msgspec.structs.replace(IDS, name="model/ids:0")
    assert apply_overrides([odd], ["model/ids:0=[2,16]"])[0].shape == (2, 16)


def test_a_symbol_takes_a_size() -> None:
    specs = with_symbol([IMAGE, IDS], "batch", 7)
    assert [spec.shape[0] for spec in specs] == [7, 7]
    assert specs[1].shape == (7, 16)


def test_replacing_another_fill_keeps_the_rest() -> None:
    changed = msgspec.structs.replace(IDS, fill=Fill.ZEROS)
    assert replace([IDS, MASK], changed) == (changed, MASK)


def test_a_shape_in_words() -> None:
    assert describe_shape(IMAGE) == "[batch=1, 3, height=8, width=8]"
    assert describe_shape(InputSpec(name="x", dtype="bool", shape=(2, 3))) == "[2, 3]"
    assert describe_shape(InputSpec(name="x", dtype="bool", shape=())) == "[]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture=[1]", "no input 'picture'"),
        ("image", "read the input"),
        ("image=", "read the input"),
        ("image=float32[1,x]", "read the input"),
        ("image=[1,-1,8,8]", "read the input"),
        ("image=[1,3,8]", "4 dimensions, not 3"),
        ("image=[]", "4 dimensions, not 0"),
        ("image=[1,4,8,8]", "fixed at 3"),
        ("image=int64", "is float32 in the model, not int64"),
        ("image=float31", "no dtype 'float31'"),
        ("image=nowhere.npy", "nowhere.npy"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_hint(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        apply_overrides([IMAGE, IDS], [text])
    assert message in caught.value.message
    assert caught.value.hint


def test_a_negative_dimension() -> None:
    with pytest.raises(InputError, match="negative"):
        with_shape(IMAGE, (-1, 3, 8, 8))


# --- inputs that were guessed -------------------------------------------------------------------

GUESSED = msgspec.structs.replace(IMAGE, guessed=True)


def test_a_guess_takes_any_shape_and_dtype() -> None:
    (spec,) = apply_overrides([GUESSED], ["image=int64[2,5]"])
    assert (spec.dtype, spec.shape, spec.symbols) == ("int64", (2, 5), (None, None))
    assert make_array(spec).dtype == np.int64


def test_a_guess_of_the_same_rank_keeps_its_symbols() -> None:
    assert with_shape(GUESSED, (2, 4, 9, 9)).symbols == GUESSED.symbols


def test_a_guessed_integer_becomes_a_float() -> None:
    guessed = msgspec.structs.replace(IDS, guessed=True)
    assert with_dtype(guessed, "float32").fill is Fill.NORMAL


# --- values from files --------------------------------------------------------------------------


def test_values_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "image.npy"
    value = np.arange(2 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 4, 4)
    np.save(path, value)
    specs = apply_overrides([IMAGE, IDS], [f"image={path}"])
    image = by_name(specs, "image")
    assert (image.shape, image.fill, image.path) == (value.shape, Fill.FILE, str(path))
    assert by_name(specs, "ids").shape == (2, 16)
    assert np.array_equal(make_array(image), value)


def test_values_by_name_from_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    np.savez(path, mask=np.zeros((1, 4)), ids=np.full((1, 4), 9))
    specs = apply_overrides([IDS, MASK], [f"ids={path}", f"mask={path}"])
    arrays = make_arrays(specs)
    assert arrays["ids"].tolist() == [[9, 9, 9, 9]]
    assert arrays["ids"].dtype == np.int64
    assert arrays["mask"].tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_files_that_hold_no_array(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"values{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        apply_overrides([IMAGE], [f"image={path}"])
    assert caught.value.hint


def test_an_archive_without_arrays(tmp_path: Path) -> None:
    path = tmp_path / "empty.npz"
    np.savez(path)
    with pytest.raises(InputError):
        apply_overrides([IMAGE], [f"image={path}"])


def test_pickled_objects_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="objects"):
        apply_overrides([IMAGE], [f"image={path}"])


def test_a_file_of_another_shape(tmp_path: Path) -> None:
    path = tmp_path / "image.npy"
    np.save(path, np.zeros((1, 4, 8, 8), np.float32))
    with pytest.raises(InputError, match="fixed at 3"):
        apply_overrides([IMAGE], [f"image={path}"])


def test_a_file_that_changed_since(tmp_path: Path) -> None:
    path = tmp_path / "image.npy"
    np.save(path, np.zeros((1, 3, 8, 8), np.float32))
    specs = apply_overrides([IMAGE], [f"image={path}"])
    np.save(path, np.zeros((1, 3, 9, 9), np.float32))
    with pytest.raises(InputError, match="holds"):
        make_arrays(specs)
    path.unlink()
    with pytest.raises(InputError, match="read values"):
        make_arrays(specs)


def test_a_file_of_text_where_numbers_belong(tmp_path: Path) -> None:
    path = tmp_path / "image.npy"
    np.save(path, np.full((1, 3, 8, 8), "word"))
    specs = apply_overrides([IMAGE], [f"image={path}"])
    with pytest.raises(InputError):
        make_arrays(specs)


def test_a_huge_shape_is_an_error_of_the_input() -> None:
    spec = with_shape(GUESSED, (10**9, 10**9, 10**9))
    assert math.prod(spec.shape) > 2**63
    with pytest.raises(InputError) as caught:
        make_array(spec)
    assert caught.value.hint
