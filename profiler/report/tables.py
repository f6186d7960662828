"""Tables of the HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers_from: int = 1,
    numbers_until: int | None = None,
) -> str:
    """Cells hold HTML already. Columns of numbers, `numbers_until` left out, don't wrap."""
    numbers = range(len(header))[numbers_from:numbers_until]
    head = "".join(_cell("th", escape(text), i in numbers) for i, text in enumerate(header))
    body = "".join(
        f"<tr>{''.join(_cell('td', cell, i in numbers) for i, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(tag: str, content: str, is_number: bool) -> str:
    return f'<{tag} class="{"number" if is_number else ""}">{content}</{tag}>'


def ms(value_ns: float) -> str:
    return f"{value_ns / 1e6:.4g}"
