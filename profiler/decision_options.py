"""Options that say what a recommendation is for, and what machines cost."""

from __future__ import annotations

import argparse
import re

import msgspec

from profiler.quantities import amount, share
from profiler.types import Goal, Question

AMOUNT = r"(?P<before>[^\d\s=/.+-]*)\s*(?P<amount>\d+(?:\.\d+)?)\s*(?P<after>[^\d\s/.+-]*)"
PRICE = re.compile(rf"(?:(?P<device>[^=]+)=)?{AMOUNT}\s*(?:/\s*(?:h|hr|hour))?")
PER_KWH = re.compile(rf"{AMOUNT}\s*(?:/\s*kwh)?", re.IGNORECASE)
PER_DAY = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>k|m|g|b)?\s*(?:/\s*(?:d|day))?")
TIMES = {None: 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}


def add_decision_options(parser: argparse.ArgumentParser) -> None:
    """`--goal`, and everything that costs are worked out from."""
    group = parser.add_argument_group("decision")
    group.add_argument(
        "--goal",
        type=goal,
        help=f"what the recommendation is for: {', '.join(Goal)} (default: latency)",
        metavar="GOAL",
    )
    group.add_argument(
        "--price",
        type=price,
        action="append",
        default=[],
        metavar="[DEVICE=]AMOUNT/hour",
        help="what a machine or device costs, such as 1.20/hour, cpu=0.40EUR/hour or "
        "cuda=2.50/hour; may be repeated",
    )
    group.add_argument(
        "--requests", type=per_day, metavar="N/day", help="samples to infer, such as 2m/day"
    )
    group.add_argument(
        "--utilization",
        type=utilization,
        metavar="SHARE",
        help="of its paid time a machine is to work so much (default: 70%%)",
    )
    group.add_argument(
        "--replicas", type=count, metavar="N", help="machines kept on at the least (default: 1)"
    )
    group.add_argument(
        "--energy-price", type=per_kwh, metavar="AMOUNT/kWh", help="what electricity costs"
    )
    group.add_argument(
        "--own-cost",
        type=amount,
        metavar="AMOUNT",
        help="what converting and checking costs once, beside computing time",
    )


def question_of(arguments: argparse.Namespace, base: Question) -> Question:
    """What was asked for on the command line, over what a session or the defaults have."""
    currencies = [currency for _, _, currency in arguments.price if currency]
    if arguments.energy_price and arguments.energy_price[1]:
        currencies.append(arguments.energy_price[1])
    changes = {
        "prices": {device: value for device, value, _ in arguments.price} or None,
        "currency": currencies[0] if currencies else None,
        "requests_per_day": arguments.requests,
        "utilization": arguments.utilization,
        "replicas": arguments.replicas,
        "price_per_kwh": arguments.energy_price[0] if arguments.energy_price else None,
        "own_cost": arguments.own_cost,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    return Question(
        goal=arguments.goal or base.goal, cost=msgspec.structs.replace(base.cost, **given)
    )


def goal(text: str) -> Goal:
    """`latency` and so on."""
    if text not in list(Goal):
        raise argparse.ArgumentTypeError(f"{text!r} is no goal; write one of {', '.join(Goal)}")
    return Goal(text)


def price(text: str) -> tuple[str, float, str]:
    """`cpu=1.20EUR/hour` -> ("cpu", 1.2, "EUR"); without a device "*", for every one."""
    match = PRICE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no price; write for example 1.20/hour")
    currency = match["before"] or match["after"]
    return (match["device"] or "*").strip(), float(match["amount"]), currency


def per_kwh(text: str) -> tuple[float, str]:
    """`0.30/kWh` -> (0.3, "")."""
    match = PER_KWH.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no price; write for example 0.30/kWh")
    return float(match["amount"]), match["before"] or match["after"]


def per_day(text: str) -> float:
    """`50000`, `2m/day` (2 million), `1.5k`."""
    match = PER_DAY.fullmatch(text.strip().lower())
    if match is None or not float(match["amount"]):
        raise argparse.ArgumentTypeError(f"{text!r} is no rate; write for example 2m/day")
    return float(match["amount"]) * TIMES[match["unit"]]


def utilization(text: str) -> float:
    """`70%` or `0.7`: above 0, at most 1."""
    value = share(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no utilization; write for example 70%")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)
