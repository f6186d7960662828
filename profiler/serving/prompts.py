"""Prompts for servers, which take text: about as many tokens as asked for."""

from __future__ import annotations

import random

# Short, common words: nearly every tokenizer has them as one token, with the space before.
WORDS = (
    *("the", "a", "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child"),
    *("world", "school", "state", "family", "student", "group", "country", "problem", "hand"),
    *("part", "place", "case", "week", "company", "system", "program", "question", "work"),
    *("number", "night", "point", "home", "water", "room", "mother", "area", "money", "story"),
)


def prompt_text(tokens: int, key: str) -> str:
    """`tokens` random words; another `key`, other ones."""
    chosen = random.Random(key)
    return " ".join(chosen.choice(WORDS) for _ in range(max(1, tokens)))
