"""ONNX's own operator tests through the import: equal to what ONNX expects, or refused and listed.

Every input comes at run time, also those that exporters write as constants.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from benchmarks.node_cases import Case, Outcome, load_cases, run_case
from profiler.onnx_torch import supported_ops

CHUNKS = 6
# (what the import says, the cases). Nothing else may be refused, and each of these must be.
REFUSED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("*has no ImageDecoder*", ("test_image_decoder_*",)),
    ("Dropout * training mode *", ("test_training_dropout*",)),
)


def chunk(number: int) -> list[Case]:
    """Every n-th case."""
    return list(load_cases()[number::CHUNKS])


@pytest.mark.parametrize("number", range(CHUNKS))
def test_every_case_is_equal_or_listed_as_refused(number: int) -> None:
    wrong = []
    for case in chunk(number):
        outcome, text = run_case(case)
        is_listed = any(
            fnmatchcase(text, reason) and any(fnmatchcase(case.name, p) for p in patterns)
            for reason, patterns in REFUSED
        )
        expected = Outcome.REFUSED if is_listed else Outcome.EQUAL
        if outcome is not expected:
            wrong.append(f"{case.name}: {outcome.value}: {text}")
    assert wrong == [], "\n".join(wrong)


def test_every_listed_pattern_names_a_case() -> None:
    names = [case.name for case in load_cases()]
    assert len(names) > 1800
    for _, patterns in REFUSED:
        for pattern in patterns:
            assert any(fnmatchcase(name, pattern) for name in names)


def test_the_cases_have_nearly_every_operator_of_the_standard() -> None:
    """The rest has tests of its own in this folder."""
    in_cases = {node.op_type for case in load_cases() for node in case.model.graph.node}
    standard = [name for name in supported_ops() if "::" not in name]
    assert [name for name in standard if name not in in_cases] == [
        "ConcatFromSequence",
        "GlobalLpPool",
        "MaxRoiPool",
        "Multinomial",
        "Optional",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SimplifiedLayerNormalization",
        "SplitToSequence",
    ]
