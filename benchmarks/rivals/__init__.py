"""The same computations without fastnn: what it is measured against."""

from importlib import import_module
from types import ModuleType


def module(name: str) -> ModuleType | None:
    """The module `name`; None where it, or what it needs, is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def installed(**names: str) -> dict[str, ModuleType]:
    """The modules in this folder, by the rivals' names, of those rivals that are installed."""
    modules = {rival: module(f"rivals.{name}") for rival, name in names.items()}
    return {rival: found for rival, found in modules.items() if found}
