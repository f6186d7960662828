"""What can be varied in a run plan, and how a value changes the plan: pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from profiler.errors import InputError, PlanError
from profiler.inputs import replace, with_shape, with_symbol
from profiler.lanes import COUNT, DEVICE, INTEGER, Option, options_of
from profiler.types import EngineSpec, Fill, InputSpec, RunPlan, SweepAxis

# An option's value that leaves the choice to the engine.
DEFAULT = "default"
MOST_VALUES = 200
# Shorter names of options.
SHORT = {
    "threads": "intra_op_threads",
    "provider": "execution_provider",
    "optimization": "graph_optimization_level",
    "compile_mode": "mode",
}
# Names of dynamic dimensions that mean these, and what they are where the name tells nothing.
BATCH, SEQUENCE, IMAGE = "batch", "sequence", "image"
NAMED = {
    BATCH: ("batch", "bs"),
    SEQUENCE: ("seq", "token", "length", "len", "time", "frames"),
    IMAGE: ("height", "width", "image", "img"),
}
# Of a generation, and the plan's field that each one sets.
PROMPT, TOKENS = "prompt", "tokens"
OF_A_GENERATION = {PROMPT: "prompt_tokens", TOKENS: "new_tokens"}
HELP = {
    PROMPT: "tokens of the prefill",
    TOKENS: "tokens that are generated",
    BATCH: "samples in a call",
    SEQUENCE: "length of the sequence",
    IMAGE: "height and width of the image",
}
PROPOSED = {
    PROMPT: ("32", "64", "128", "256"),
    TOKENS: ("8", "16", "32"),
    BATCH: ("1", "2", "4", "8", "16"),
    SEQUENCE: ("32", "64", "128", "256"),
    IMAGE: ("128", "160", "192", "224"),
    "intra_op_threads": ("1", "2", "4"),
    "callers": ("1", "2", "4"),
}
# In sentences: what a value of these counts, and what others are sizes of.
COUNTS = {"callers": "caller", "threads": "thread", TOKENS: "new token"}
SIZES = {
    BATCH: "batch size",
    SEQUENCE: "sequence length",
    IMAGE: "image size",
    PROMPT: "prompt length",
}
_RANGE = re.compile(r"(\d+)\.\.(\d+)(?:([x*+])(\d+))?")

Place = tuple[str, int]


@dataclass(frozen=True)
class AxisInfo:
    """An axis that applies to a plan; `proposed` values are a start for a form."""

    name: str
    help: str
    proposed: tuple[str, ...]


def axes_of(plan: RunPlan) -> list[AxisInfo]:
    """What can be varied in the plan."""
    named = [name for name in NAMED if _places(plan.inputs, name)]
    if plan.generation is not None:
        named += OF_A_GENERATION
    found = [AxisInfo(name, HELP[name], PROPOSED[name]) for name in named]
    symbols = [s for spec in plan.inputs for s in spec.symbols if s and s not in NAMED]
    found += [
        AxisInfo(symbol, f"dynamic dimension {symbol}", _around(plan.inputs, symbol))
        for symbol in dict.fromkeys(symbols)
    ]
    generation = plan.generation is not None
    names = dict.fromkeys(
        name for spec in plan.engines for name in options_of(spec.engine, generation=generation)
    )
    for name in (*names, "device"):
        options = [_option(plan, spec, name) for spec in plan.engines]
        known = [option for option in options if option is not None]
        found.append(AxisInfo(_short(name), known[0].help, _proposed(name, known)))
    return found


def parse_axis(text: str, plan: RunPlan) -> SweepAxis:
    """`batch=1,2,4`, `threads=1..8`, `batch=1..64x2`, `x[0]=1,2`, `LANE.option=value,...`.

    Raises PlanError where nothing in the plan can be varied so, or no lane takes a value.
    """
    name, separator, given = text.rpartition("=")
    values = tuple(dict.fromkeys(v for part in given.split(",") for v in _values(part.strip())))
    name = name.strip()
    if not separator or not name or not values:
        raise PlanError(f"Can't read the axis {text!r}.", "Write for example batch=1,2,4,8.")
    axis = SweepAxis(name=name, values=values)
    check_axis(axis, plan)
    return axis


def check_axis(axis: SweepAxis, plan: RunPlan) -> None:
    """Refuse an axis that doesn't apply, and a value that nothing takes. Raises PlanError."""
    if len(axis.values) > MOST_VALUES:
        raise PlanError(
            f"{axis.name} has {len(axis.values)} values.", f"Take at most {MOST_VALUES}."
        )
    for value in axis.values:
        changed, refused = apply_value(plan, axis.name, value)
        if len(refused) == len(changed.engines):
            raise PlanError(next(iter(refused.values())), f"No lane takes {axis.name}={value}.")


def apply_value(plan: RunPlan, name: str, value: str) -> tuple[RunPlan, dict[str, str]]:
    """The plan with that value, and why lanes can't take it, by label; these are as before.

    Lanes that don't have the option stay as they are. Raises PlanError for an axis that the plan
    doesn't have, InputError for a size that doesn't fit.
    """
    if plan.generation is not None and name in OF_A_GENERATION:
        field = {OF_A_GENERATION[name]: _size(name, value)}
        generation = msgspec.structs.replace(plan.generation, **field)
        return msgspec.structs.replace(plan, generation=generation), {}
    change = _input_change(plan, name)
    if change is not None:
        return msgspec.structs.replace(plan, inputs=change(_size(name, value))), {}
    label, option = _lane_option(plan, name)
    engines, refused = [], {}
    for spec in plan.engines:
        known = _option(plan, spec, option)
        if known is None or label not in ("", spec.label):
            engines.append(spec)
            continue
        try:
            engines.append(_with_option(spec, option, known, value))
        except PlanError as error:
            engines.append(spec)
            refused[spec.label] = str(error)
    return msgspec.structs.replace(plan, engines=tuple(engines)), refused


def is_number(values: Sequence[str]) -> bool:
    """Whether the axis has an order and distances."""
    return all(re.fullmatch(r"\d+(\.\d+)?", value) for value in values)


def work_of(plan: RunPlan) -> int:
    """Tokens that a call generates, or its samples: the batch dimension, 1 where none is known."""
    if plan.generation is not None:
        return plan.generation.new_tokens
    places = _places(plan.inputs, BATCH)
    if not places:
        return 1
    name, position = places[0]
    return next(spec.shape[position] for spec in plan.inputs if spec.name == name)


def unit_of(plan: RunPlan) -> str:
    """What throughput counts."""
    return "samples/s" if plan.generation is None else "tokens/s"


# --- dimensions -------------------------------------------------------------------------------


def _places(inputs: Sequence[InputSpec], name: str) -> list[Place]:
    """Dimensions that the axis sets: by name, else by place, of inputs that can change."""
    dims = [
        (spec, position, symbol)
        for spec in inputs
        for position, symbol in enumerate(_symbols(spec))
    ]
    exact = [(s.name, p) for s, p, symbol in dims if symbol == name]
    if exact or name not in NAMED:
        return exact
    named = [
        (s.name, p)
        for s, p, symbol in dims
        if symbol and any(part in symbol.lower() for part in NAMED[name])
    ]
    if named:
        return named
    free = [(s, p) for s, p, symbol in dims if symbol or s.guessed]
    return [(s.name, p) for s, p in free if _usual(s, p, name)]


def _usual(spec: InputSpec, position: int, name: str) -> bool:
    """Where such a dimension stands in most models."""
    rank = len(spec.shape)
    if name == BATCH:
        return position == 0
    if name == SEQUENCE:
        return position == 1 and rank == 2 and spec.dtype.startswith("int")
    return rank == 4 and position in (2, 3)


def _symbols(spec: InputSpec) -> tuple[str | None, ...]:
    return (*spec.symbols, *(None,) * (len(spec.shape) - len(spec.symbols)))


def _input_change(plan: RunPlan, name: str) -> Callable[[int], tuple[InputSpec, ...]] | None:
    """How inputs take a size of that axis; None where it is no axis of the inputs."""
    match = re.fullmatch(r"(.+)\[(\d+)\]", name)
    if match and any(spec.name == match[1] for spec in plan.inputs):
        places = [(match[1], int(match[2]))]
    else:
        places = _places(plan.inputs, name)
    if not places:
        return None

    def change(size: int) -> tuple[InputSpec, ...]:
        inputs = plan.inputs
        for input_name, position in places:
            spec = next(s for s in inputs if s.name == input_name)
            inputs = _with_size(inputs, spec, position, size)
        return inputs

    return change


def _with_size(
    inputs: tuple[InputSpec, ...], spec: InputSpec, position: int, size: int
) -> tuple[InputSpec, ...]:
    if position >= len(spec.shape):
        raise InputError(
            f"{spec.name} has no dimension {position}.", f"It has {len(spec.shape)}, from 0."
        )
    if spec.fill is Fill.FILE and size != spec.shape[position]:
        raise InputError(
            f"The values of {spec.name} come from a file, which has its own shape.",
            "Let the input be filled with made-up values.",
        )
    symbol = _symbols(spec)[position]
    if symbol:
        return with_symbol(inputs, symbol, size)
    shape = (*spec.shape[:position], size, *spec.shape[position + 1 :])
    return replace(inputs, with_shape(spec, shape))


def _size(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise PlanError(f"{name} can't be {value!r}.", "It takes an integer from 1.")
    return int(value)


def _around(inputs: Sequence[InputSpec], symbol: str) -> tuple[str, ...]:
    """The size that it has, half of it, and twice."""
    sizes = [
        size
        for spec in inputs
        for size, found in zip(spec.shape, _symbols(spec), strict=True)
        if found == symbol
    ]
    return tuple(str(v) for v in dict.fromkeys((max(1, sizes[0] // 2), sizes[0], sizes[0] * 2)))


# --- options of lanes -------------------------------------------------------------------------


def _lane_option(plan: RunPlan, name: str) -> tuple[str, str]:
    """(label or "", option) of `threads`, `intra_op_threads` or `LABEL.threads`."""
    label, _, option = name.rpartition(".")
    option = SHORT.get(option, option)
    chosen = [spec for spec in plan.engines if label in ("", spec.label)]
    if not any(_option(plan, spec, option) for spec in chosen):
        raise PlanError(f"There is no axis {name!r} in this run.", _possible(plan))
    return label, option


def _possible(plan: RunPlan) -> str:
    names = ", ".join(info.name for info in axes_of(plan))
    if plan.generation is not None:
        return f"There are: {names}; LANE.option of one lane."
    fixed = "" if _places(plan.inputs, BATCH) else " The model fixes the dimensions of its inputs."
    return f"There are: {names}; NAME[0] of an input, LANE.option of one lane.{fixed}"


def _option(plan: RunPlan, spec: EngineSpec, name: str) -> Option | None:
    known = options_of(spec.engine, generation=plan.generation is not None)
    return DEVICE if name == "device" else known.get(name)


def _with_option(spec: EngineSpec, name: str, option: Option, value: str) -> EngineSpec:
    if name == "device":
        return msgspec.structs.replace(spec, device=str(option.parsed(name, value)))
    others = {key: found for key, found in spec.options.items() if key != name}
    if value != DEFAULT or value in option.choices:
        others[name] = option.parsed(name, value)
    return msgspec.structs.replace(spec, options=others)


def _short(name: str) -> str:
    return next((short for short, long in SHORT.items() if long == name), name)


def _proposed(name: str, options: Sequence[Option]) -> tuple[str, ...]:
    if name in PROPOSED:
        return PROPOSED[name]
    choices = tuple(dict.fromkeys(choice for option in options for choice in option.choices))
    if choices:
        return choices
    if options[0].takes in (INTEGER, COUNT):
        return ("1", "2")
    return ("true", "false") if not options[0].example else ()


def _values(text: str) -> list[str]:
    """`4`, or a range: `1..8`, `64..512+64`, `1..64x2`, its ends included."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return [text] if text else []
    low, high, sign, by = int(match[1]), int(match[2]), match[3] or "+", int(match[4] or 1)
    if low > high or by < (1 if sign == "+" else 2) or (sign != "+" and low < 1):
        raise PlanError(f"{text} is no range.", "Write 1..8, 64..512+64 or 1..64x2.")
    found = list[str]()
    while low <= high and len(found) <= MOST_VALUES:
        found.append(str(low))
        low = low + by if sign == "+" else low * by
    return found


def describe(axes: Sequence[SweepAxis], values: Sequence[str]) -> str:
    """`batch 4, 2 threads`."""
    pairs = zip(axes, values, strict=True)
    return ", ".join(value_words(axis.name, value) for axis, value in pairs)


def value_words(name: str, value: str) -> str:
    """`batch 4`, `1 caller`, `2 callers`; of several values at once `2, 4 callers`."""
    one = COUNTS.get(name)
    if one is None or not value[:1].isdigit():
        return f"{name} {value}"
    return f"{value} {one if value == '1' else one + 's'}"


def axis_words(name: str) -> str:
    """What follows `any` and `every`: `batch size`, `number of callers`, `precision`."""
    one = COUNTS.get(name)
    return f"number of {one}s" if one else SIZES.get(name, name)


def labelled(refused: Mapping[str, str]) -> str:
    """Reasons of several lanes in one text."""
    return " ".join(f"{label}: {reason}" for label, reason in refused.items())
