"""The methods by name: entry points of the group `bench.methods`, ours and plug-ins' alike.

A variant of a method is a method too: "dsifuse-no-cfc" is dsifuse's variant "no-cfc".
"""

from __future__ import annotations

import sys
from dataclasses import replace
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


def base_and_variant(name: str) -> tuple[str, str | None]:
    """The registered method that a name begins with, and its variant; (name, None) for a method.

    Whether the method has that variant is not looked at. UserError for an unknown name.
    """
    known = names()
    if name in known:
        return name, None
    for base in sorted(known, key=len, reverse=True):
        if name.startswith(f"{base}-"):
            return base, name.removeprefix(f"{base}-")
    raise UserError(
        f"Unknown method '{name}'{did_you_mean(name, known)}; known: {', '.join(known)}."
    )


def expand(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """`all` replaced by every registered method; unknown names are a UserError.

    A variant has to be named. That a method has it is only known when it is imported.
    """
    listed = [name for word in wanted for name in (names() if word == "all" else [word])]
    for name in listed:
        base_and_variant(name)
    return tuple(dict.fromkeys(listed))


def module_of(name: str) -> str:
    """The module that defines a method, for the hash of its code."""
    return _registered()[base_and_variant(name)[0]].module


def method(name: str) -> Method:
    """Import and return one method, or a variant of one as a method of its own.

    UserError for an unknown name, and for one whose package can't be imported or doesn't hold it.
    """
    base, variant = base_and_variant(name)
    point = _registered()[base]
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"The method '{base}' ({point.value}) can't be imported: {error}; correct or uninstall "
            "the package that registers it."
        ) from error
    if not isinstance(found, Method) or found.name != base:
        raise UserError(
            f"The entry point '{base}' of {GROUP} is not a Method of that name: correct it in the "
            "package that registers it."
        )
    return found if variant is None else _as_method(found, variant)


def _as_method(method: Method, variant: str) -> Method:
    if variant not in method.variants:
        known = [*names(), *(f"{method.name}-{each}" for each in method.variants)]
        name = f"{method.name}-{variant}"
        raise UserError(
            f"Unknown method '{name}'{did_you_mean(name, known)}; {method.name} has the variants: "
            f"{', '.join(method.variants) or 'none'}."
        )
    block = variant.removeprefix("no-")
    what = f"w/o {block.upper()}" if block != variant else f"({variant})"
    card = replace(
        method.card, name=f"{method.name}-{variant}", title=f"{method.card.title} {what}"
    )
    own = tuple(known for known in method.weights if known.name == variant)
    return replace(method, card=card, build=method.variants[variant], weights=own, variants={})


def ablation(name: str) -> tuple[str, ...]:
    """The method's variants without one block each, and the method itself last.

    UserError for a method without such variants.
    """
    found = method(name)
    rows = tuple(f"{name}-{variant}" for variant in found.variants if variant.startswith("no-"))
    if not rows:
        raise UserError(
            f"{name} has no variants without a block: --ablation takes a method that has."
        )
    return (*rows, name)
