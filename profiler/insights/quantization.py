"""Rules on arithmetic in bytes."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.byte_sums import multiplies_bytes, overflowing
from profiler.caveats import output_words
from profiler.insights.base import Insight, rule, share_of
from profiler.session import Session


@rule
def byte_sums_overflow(session: Session) -> Iterator[Insight]:
    """Quantized products on a CPU that adds them in 16 bits, in a lane whose outputs differ."""
    for label in session.labels():
        found = overflowing(session, label)
        differs = any(
            not compared.agree and label in (compared.baseline, compared.candidate)
            for compared in session.outputs
        )
        if found and differs:
            yield Insight(
                rule="byte_sums_overflow",
                label=label,
                sentence=f"{session.name(label)} may give wrong sums on this CPU: it has no dot "
                "product of bytes (VNNI), and two products of 8 bits can overflow the 16 that "
                "they are added in",
                evidence=f"{sum(row.calls for row in found)} quantized operators, such as "
                f"{found[0].name} ({found[0].op_type}). {output_words(session, label)}",
                remedy="Quantize the weights to 7 bits (reduce_range=True in ONNX Runtime's "
                "quantizer), or activations and weights both to uint8; or deploy on a CPU with "
                "VNNI, where the outputs are to be compared again.",
                share=share_of(session.operators(label), multiplies_bytes),
            )
