"""Configurations: objects as plain data (of JSON's types), and objects made from it again.

Nothing in a configuration is code: a class or function is named, and found among fastnn's own
public names, those that were registered, and those that the caller hands in.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any, Self, TypeVar

import numpy as np

from fastnn._kernels import Scope
from fastnn.arrays import to_dtype
from fastnn.changes import is_computing, note_change
from fastnn.tensor import Tensor

Named = TypeVar("Named", bound=Callable[..., Any])

# The modules whose public names a configuration may mention.
FAMILIES = (
    "activations",
    "constraints",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "optimizers.schedules",
    "random",
    "regularizers",
)

_registered: dict[str, Any] = {}
_names: list[tuple[Any, str]] = []  # of all that was ever registered


class _Scopes(threading.local):
    """Those that are open in this thread."""

    def __init__(self) -> None:
        self.custom: list[Mapping[str, Any]] = []  # the innermost last


_scopes = _Scopes()

CONTAINERS = (list, dict, set, deque)  # which are changed in place, as arrays are


class Configurable:
    """Base of all that is made again from a configuration.

    By default a configuration is the arguments of the constructor, each being kept by the object as
    an attribute of the same name.
    """

    _aside: frozenset[str] = frozenset(["built"])  # attributes that no result depends on
    _version: object = None  # another object after each change of an attribute
    _is_custom = False  # defined outside fastnn

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._is_custom = not is_ours(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        is_there = name in vars(self)
        # The default of a field of a dataclass is no value from before.
        is_new = not is_there and name in getattr(type(self), "__dataclass_fields__", ())
        before = vars(self).get(name, value if is_new else getattr(type(self), name, value))
        super().__setattr__(name, value)
        if name in self._aside or isinstance(before, property) or is_computing():
            return
        # As after `self.x += 1` of a list or an array, which is then the same one.
        is_changed = is_there and isinstance(value, (*CONTAINERS, np.ndarray))
        if (is_changed or not _is_same(before, value)) and self._goes_by(before, value):
            vars(self)["_version"] = object()
            note_change()

    def _goes_by(self, before: Any, value: Any) -> bool:
        """Whether a computation may go by an attribute of which this is the new value."""
        return True

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal object, as plain data.

        A class of yours that defines `get_config` adds the arguments of its own constructor to what
        it gets from this one, which are all others.
        """
        config = {}
        for name in self._described():
            if not hasattr(self, name):
                raise NotImplementedError(
                    f"{type(self).__name__} keeps no attribute {name!r} for its constructor's "
                    "argument of that name: keep it (self.x = x), or define get_config"
                )
            config[name] = serialize(getattr(self, name), by_name=not self._is_custom)
        return config

    @classmethod
    def _described(cls) -> list[str]:
        """The arguments of which `get_config` tells: of classes that do not do so themselves."""
        told: set[str] = set()
        for base in cls.__mro__[:-1]:
            if "__init__" in vars(base) and (is_ours(base) or "get_config" not in vars(base)):
                told.update(signature(vars(base)["__init__"]).parameters)
        return [name for name in arguments_of(cls) if name in told]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The object that `get_config` described."""
        return cls(**{name: deserialize(value) for name, value in config.items()})


def is_ours(thing: Any) -> bool:
    """Whether a class or function is defined in fastnn."""
    return str(getattr(thing, "__module__", "")).startswith("fastnn.")


def _is_same(before: Any, value: Any) -> bool:
    return before is value or (
        is_plain(value) and type(before) is type(value) and repr(before) == repr(value)
    )


def is_plain(value: Any) -> bool:
    """Whether it is a number, a text, or a tuple of such."""
    if isinstance(value, tuple):
        return all(map(is_plain, value))
    return isinstance(value, bool | int | float | str)


class FunctionWrapper(Configurable):
    """An object that is a function with options for it, each of which is an attribute too."""

    _options: tuple[str, ...] = ()

    def _wrap(self, fn: Callable[..., Any], options: Mapping[str, Any]) -> None:
        kind = type(self).__name__
        if isinstance(fn, type) or not callable(fn):
            raise TypeError(f"{kind} is made of a function, got {fn!r}")
        for name in options:
            if hasattr(self, name):
                raise ValueError(
                    f"{kind} has an attribute {name!r} of its own: call the function's option "
                    "otherwise, or fix it with functools.partial"
                )
        self.fn, self._options = fn, tuple(options)
        vars(self).update(options)

    @property
    def options(self) -> dict[str, Any]:
        """What the function is called with."""
        return {name: getattr(self, name) for name in self._options}

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, and the function's options where it takes them."""
        config = super().get_config()
        if "fn" not in config:
            return config
        # The function takes functions, not their names.
        return {**config, **serialize({"fn": self.fn, **self.options}, by_name=False)}


def arguments_of(cls: type) -> list[str]:
    """The names of the constructor's arguments; ``**options`` are those of the base's."""
    names: list[str] = []
    for base in cls.__mro__[:-1]:
        if "__init__" not in vars(base):
            continue
        parameters = list(signature(vars(base)["__init__"]).parameters.values())[1:]
        kinds = {p.kind for p in parameters}
        keywords = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        names += [p.name for p in parameters if p.kind in keywords and p.name not in names]
        if Parameter.VAR_KEYWORD not in kinds:
            break
    return names


def serialize(value: Any, by_name: bool = True) -> Any:
    """`value` as plain data; TypeError if it is nothing that can be described so.

    With `by_name` fastnn's own functions are names alone, for who looks them up, as its classes do.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Configurable):
        return {**_place(type(value)), "config": value.get_config()}
    if isinstance(value, Mapping):
        return {str(name): serialize(part, by_name) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [serialize(part, by_name) for part in value]
    if isinstance(value, Tensor | np.ndarray | np.generic):
        array = np.asarray(value)
        if array.ndim == 0:
            return array.item()
        return {
            "class_name": "__numpy__",
            "config": {"value": array.tolist(), "dtype": array.dtype.name},
        }
    if isinstance(value, np.dtype):
        return value.name
    if callable(value) and hasattr(value, "__name__"):
        place = _place(value)
        if by_name and place["module"] is not None and not isinstance(value, type):
            return place["class_name"]
        return {**place, "class_name": "function", "config": place["class_name"]}
    raise TypeError(
        f"{value!r} cannot be written into a configuration: define get_config to return numbers, "
        "strings, lists and dicts"
    )


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described.

    Parameters
    ----------
    config : plain data
    custom_objects : dict, optional
        Classes and functions by name, beside fastnn's own and those registered.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    with custom_object_scope(custom_objects or {}):
        if isinstance(config, list):
            return [deserialize(part) for part in config]
        if not isinstance(config, dict):
            return config
        if "class_name" not in config or "config" not in config:
            return {name: deserialize(part) for name, part in config.items()}
        if config["class_name"] == "__numpy__":
            return np.array(config["config"]["value"], to_dtype(config["config"]["dtype"]))
        found = _found(config)
        inner = config["config"]
        return found.from_config(inner) if isinstance(inner, dict) else found


def _place(thing: Any) -> dict[str, Any]:
    """Where a class or function is found again."""
    name = thing.__name__
    for family in FAMILIES:
        module = sys.modules.get(f"fastnn.{family}")
        if getattr(module, name, None) is thing:
            return {"module": f"fastnn.{family}", "class_name": name, "registered_name": None}
    return {"module": None, "class_name": name, "registered_name": get_registered_name(thing)}


def _found(config: Mapping[str, Any]) -> Any:
    """The class or function of a configuration: fastnn's own names stay its own."""
    name = config["class_name"]
    if name == "function":
        name = config["config"]
    found = custom_object(config.get("registered_name"))
    if found is None:
        found = _public(config.get("module"), name)
    if found is None:
        found = custom_object(name)
    if found is None:
        raise ValueError(
            f"{name!r} is neither fastnn's nor registered: pass custom_objects={{{name!r}: ...}}, "
            "or decorate its definition with @fastnn.saving.register_keras_serializable()"
        )
    return found


def _public(module: Any, name: Any) -> Any:
    """What a family calls so; None if there is nothing."""
    family = str(module).removeprefix("fastnn.").removeprefix("keras.")
    home = sys.modules.get(f"fastnn.{family}") if family in FAMILIES else None
    if name not in getattr(home, "__all__", ()):
        return None
    found = getattr(home, name)
    return None if isinstance(found, type) and not issubclass(found, Configurable) else found


def custom_object(name: Any) -> Any:
    """What the open scopes, or else the registrations, call so; None if there is nothing."""
    for scope in (*reversed(_scopes.custom), _registered):
        if isinstance(name, str) and name in scope:
            return scope[name]
    return None


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Named], Named]:
    """Decorator: let configurations mention a class or function of yours.

    Parameters
    ----------
    package : str, default "Custom"
        Together with the name it must be unique: "package>name".
    name : str, optional
        By default its own.

    Examples
    --------
    >>> import fastnn
    >>> @fastnn.saving.register_keras_serializable(package="docs")
    ... def half(x):
    ...     return x / 2
    >>> layer = fastnn.layers.Dense(3, activation=half)
    >>> layer.get_config()["activation"]["registered_name"]
    'docs>half'
    """

    def register(thing: Named) -> Named:
        if isinstance(thing, type) and not hasattr(thing, "get_config"):
            raise ValueError(
                f"{thing.__name__} has no get_config, which says how to make it again: define it"
            )
        full_name = f"{package}>{name or thing.__name__}"
        _registered[full_name] = thing
        _names.append((thing, full_name))
        return thing

    return register


def get_registered_name(thing: Any) -> str:
    """The name under which a class or function is registered, else its own."""
    # Also if another one has its name by now, as where a notebook's cell is run again.
    names = [name for known, name in _names if known is thing]
    return names[-1] if names else str(thing.__name__)


def custom_object_scope(custom_objects: Mapping[str, Any]) -> Scope:
    """Names that configurations may mention inside the block, in this thread.

    Examples
    --------
    >>> import fastnn
    >>> with fastnn.utils.custom_object_scope({"triple": lambda x: 3 * x}):
    ...     layer = fastnn.layers.Dense(1, activation="triple")
    """
    return Scope(_scopes, custom=[*_scopes.custom, custom_objects])
