"""Products of bytes that may overflow on this CPU: pure functions."""

from __future__ import annotations

from profiler.session import Session
from profiler.types import EngineKind, OperatorRow

# Operators of ONNX Runtime that multiply bytes by bytes and add the products.
BYTE_PRODUCTS = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QAttention",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
    }
)


def overflowing(session: Session, label: str) -> list[OperatorRow]:
    """The lane's operators whose sums may be wrong on this CPU; none where nothing is known of it.

    Without a dot product of bytes (VNNI), ONNX Runtime adds two products of u8 and s8 in 16 bits.
    Source: ONNX Runtime's documentation, "Quantize ONNX models", on U8S8 on x86-64.
    """
    spec = session.spec(label)
    if spec.engine is not EngineKind.ORT or spec.device != "cpu" or not _lacks_vnni(session):
        return []
    return [row for row in session.operators(label) if multiplies_bytes(row)]


def multiplies_bytes(row: OperatorRow) -> bool:
    """Whether the operator adds products of bytes."""
    return row.op_type in BYTE_PRODUCTS


def _lacks_vnni(session: Session) -> bool:
    """Whether it is known that the CPU can't add products of bytes in 32 bits at once."""
    instructions = session.environment.get("cpu instructions", "")
    return "avx2" in instructions and "vnni" not in instructions
