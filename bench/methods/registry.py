"""The methods by name: entry points of the group `bench.methods`, ours and plug-ins' alike."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from bench.errors import UserError, did_you_mean
from bench.methods.contract import Method

GROUP = "bench.methods"


def _registered() -> dict[str, EntryPoint]:
    return _registered_on(tuple(sys.path))


# Each look reads the metadata of every installed package, and a plan asks for each of its jobs.
@cache
def _registered_on(_path: tuple[str, ...]) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in found and found[point.name].value != point.value:
            raise UserError(
                f"Two packages register the method '{point.name}' ({found[point.name].value} and "
                f"{point.value}): uninstall one of them."
            )
        found[point.name] = point
    return found


def names() -> list[str]:
    """Names of all registered methods; nothing is imported."""
    return list(_registered())


def expand(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """`all` replaced by every registered method; unknown names are a UserError."""
    known = names()
    listed = [name for word in wanted for name in (known if word == "all" else [word])]
    for name in listed:
        if name not in known:
            raise UserError(
                f"Unknown method '{name}'{did_you_mean(name, known)}; known: {', '.join(known)}."
            )
    return tuple(dict.fromkeys(listed))


def module_of(name: str) -> str:
    """The module that defines a method, for the hash of its code."""
    expand((name,))
    return _registered()[name].module


def method(name: str) -> Method:
    """Import and return one method.

    UserError for an unknown name, and for one whose package can't be imported or doesn't hold it.
    """
    expand((name,))
    point = _registered()[name]
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"The method '{name}' ({point.value}) can't be imported: {error}; correct or uninstall "
            "the package that registers it."
        ) from error
    if not isinstance(found, Method) or found.name != name:
        raise UserError(
            f"The entry point '{name}' of {GROUP} is not a Method of that name: correct it in the "
            "package that registers it."
        )
    return found
