"""Names to things: how every family (losses, optimizers, ...) resolves what a user gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import signature
from typing import Any, NoReturn

from fastnn.configuration import (
    custom_object,
    custom_object_scope,
    deserialize,
)

LONGEST = 100  # characters of a name are compared: a file may hold one of megabytes
SEVERAL = 3  # names that may be meant are suggested together


def resolve(
    family: str, identifier: Any, table: Mapping[str, Any], kind: type | None = None
) -> Any:
    """The object that a name, a class, a configuration or the object itself stands for.

    Parameters
    ----------
    family : str
        What to call it in messages: "loss".
    identifier : str, class, dict or object
    table : dict
        Classes and functions by name. A class is called without arguments.
    kind : class, optional
        What the object must be an instance of; by default it must be callable.

    Raises
    ------
    ValueError
        If there is no such name.
    TypeError
        If `identifier` is something else.
    """
    found = identifier
    if isinstance(identifier, Mapping):
        # What is registered, or in an open scope, comes before fastnn's own of the same name.
        own = {name: thing for name, thing in table.items() if custom_object(name) is None}
        found = deserialize(identifier, own)
    if isinstance(found, str):
        custom = custom_object(found)
        found = by_name(family, found, table) if custom is None else custom
    if isinstance(found, type):
        found = found()
    if not (callable(found) if kind is None else isinstance(found, kind)):
        wanted = "a function" if kind is None else f"a {kind.__name__}"
        raise TypeError(f"{family} must be a name or {wanted}, got {identifier!r}")
    return found


def deserializer(get: Callable[[Any], Any]) -> Callable[..., Any]:
    """The `deserialize` of a family, from its `get`."""

    def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """What `serialize` described."""
        with custom_object_scope(custom_objects or {}):
            return get(config)

    return deserialize


def by_name(family: str, name: str, table: Mapping[str, Any]) -> Any:
    """The entry of `table` called `name`; ValueError with the nearest name if there is none."""
    if name in table:
        return table[name]
    hint = near(name, table) or f"; choose one of {', '.join(sorted(table))}"
    raise ValueError(f"unknown {family} {name[:LONGEST]!r}{hint}")


def classes_of(names: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Of the public names of a module, those of a class and its subclasses."""
    return {
        name: thing
        for name, thing in names.items()
        if isinstance(thing, type) and issubclass(thing, kind) and not name.startswith("_")
    }


def refuse_options(owner: str, known: Callable[[], Sequence[str]], options: Iterable[str]) -> None:
    """TypeError if there are any: those that are known have gone where they belong."""
    for option in options:
        hint = near(option, known()) or f"; choose from {', '.join(known())}"
        raise TypeError(f"{owner}: there is no option {option!r}{hint}")


def refuse_arguments(method: Callable[..., Any], unknown: Iterable[str]) -> None:
    """The same for the arguments of a method."""
    refuse_options(method.__name__, lambda: [*signature(method).parameters][1:-1], unknown)


def refusal(
    module: str, names: Sequence[str], instead: Mapping[str, str], other: str = ""
) -> Callable[[str], NoReturn]:
    """A module's ``__getattr__``, which says what to take instead of what it does not have.

    Parameters
    ----------
    module : str
    names : list of str
        What it has.
    instead : dict
        By name, what takes the place of things of Keras and TensorFlow.
    other : str
        The same for what is like none of the names.
    """

    def refuse(name: str) -> NoReturn:
        hint = f"; {instead[name]}" if name in instead else near(name, names) or other
        raise AttributeError(f"module {module!r} has no attribute {name!r}{hint}")

    return refuse


def near(name: str, names: Iterable[str]) -> str:
    """The end of a message that names what may have been meant; empty if nothing is like it."""
    wanted, known = name[:LONGEST], list(names)
    alike = [other for other in known if other.islower() == wanted.islower()]
    meant = _alike(wanted, alike) or _alike(wanted, known)
    return f"; did you mean {' or '.join(map(repr, meant))}?" if meant else ""


def _alike(wanted: str, names: list[str]) -> list[str]:
    import difflib

    known = {name.lower(): name for name in names}
    if wanted.lower() in known:
        return [known[wanted.lower()]]
    having = [name for name in names if _begins(name, wanted.lower().split("_"))]
    if 0 < len(having) <= SEVERAL:
        return having
    found = difflib.get_close_matches(wanted.lower(), known, n=1, cutoff=0.7)
    return [known[name] for name in found]


def _begins(name: str, words: list[str]) -> bool:
    """Whether a name begins with the first of the words, and others of its own with the rest."""
    own = [part.lower() for part in re.findall("[A-Z]*[a-z0-9]+|[A-Z]+", name)]
    rest = [any(part.startswith(word) for part in own) for word in words[1:]]
    return name.lower().startswith(words[0]) and all(rest)
