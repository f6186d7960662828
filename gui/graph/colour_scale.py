"""Colours for times and differences: even steps to the eye, told apart with any colour vision."""

from __future__ import annotations

import math

# Ends of each scale, on a light and on a dark ground: little is near the ground, much stands out.
TIME = {"light": ("#eef2f6", "#0b3c6f"), "dark": ("#2b3238", "#a8dcff")}
LESS = {"light": ("#eef2f6", "#00694d"), "dark": ("#2b3238", "#4fe0b6")}
MORE = {"light": ("#eef2f6", "#8c2f66"), "dark": ("#2b3238", "#f3a6cf")}


def time_colour(value: float, largest: float, *, dark: bool) -> str:
    """Of a time between 0 and `largest`."""
    return _mixed(TIME["dark" if dark else "light"], _place(value, largest))


def difference_colour(value: float, largest: float, *, dark: bool) -> str:
    """Of a difference between -`largest` and `largest`."""
    ends = (MORE if value > 0 else LESS)["dark" if dark else "light"]
    return _mixed(ends, _place(abs(value), largest))


def text_on(colour: str) -> str:
    """Black or white, whichever is easier to read on a colour."""
    red, green, blue = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if luminance > 0.18 else "#ffffff"


def _place(value: float, largest: float) -> float:
    """By the square root: a model's operators differ by orders of magnitude."""
    return math.sqrt(min(1.0, max(0.0, value / largest))) if largest > 0 else 0.0


def _mixed(ends: tuple[str, str], place: float) -> str:
    """Between two colours in OKLab, where equal steps look equal (Ottosson 2020)."""
    low, high = (_to_oklab(colour) for colour in ends)
    return _from_oklab(tuple(a + (b - a) * place for a, b in zip(low, high, strict=True)))


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _gamma(value: float) -> float:
    value = min(1.0, max(0.0, value))
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def _to_oklab(colour: str) -> tuple[float, ...]:
    red, green, blue = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_oklab(lab: tuple[float, ...]) -> str:
    light, a, b = lab
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(_gamma(value) * 255):02x}" for value in linear)
