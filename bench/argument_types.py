"""What the words after a flag may be: lists, times, sizes; a wrong one is told at once."""

from __future__ import annotations

import argparse


def words(text: str) -> tuple[str, ...]:
    """The words of a comma-separated list."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def assignment(text: str) -> tuple[str, str]:
    """NAME=VALUE as (name, value)."""
    key, equals, value = text.partition("=")
    if not equals or not key or not value:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return key, value


def seconds(text: str) -> float:
    """A time such as 90s, 30m or 2h."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.replace(".", "", 1).isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is not a time such as 90s, 30m or 2h")
    return float(number) * units[unit]


def counts(text: str) -> tuple[int, int, int]:
    """TRAIN,VAL,TEST."""
    parts = text.split(",")
    if len(parts) != 3 or not all(p.isdigit() for p in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not TRAIN,VAL,TEST")
    return int(parts[0]), int(parts[1]), int(parts[2])


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT, at least 32x32."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 32 and int(height) >= 32):
        raise argparse.ArgumentTypeError(f"'{text}' is not WIDTHxHEIGHT of at least 32x32")
    return int(width), int(height)


def crop(text: str) -> tuple[str, tuple[int, int, int, int]]:
    """ID:X,Y,WIDTH,HEIGHT."""
    id_, _, box = text.rpartition(":")
    parts = box.split(",")
    if not id_ or len(parts) != 4 or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not ID:X,Y,WIDTH,HEIGHT")
    return id_, (int(parts[0]), int(parts[1]), int(parts[2]), int(parts[3]))


def seed_list(text: str) -> tuple[int, ...]:
    """Integers, separated by commas."""
    try:
        return tuple(int(word) for word in words(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of integers") from None
