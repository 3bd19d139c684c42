"""Recent: the programs that were used last."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import TypeVar

KEPT = 16

Key = TypeVar("Key")
Thing = TypeVar("Thing")


class Recent(OrderedDict[Key, Thing]):
    """At most KEPT things by key, for several threads; the last one used stands last."""

    def found(self, key: Key) -> Thing | None:
        """What is kept under a key, if there is something."""
        thing = self.get(key)
        if thing is not None:
            try:  # noqa: SIM105  # suppress takes as long as a small step
                self.move_to_end(key)
            except KeyError:  # another thread has made room
                pass
        return thing

    def keep(self, key: Key, thing: Thing) -> Thing:
        """Keep a thing, or what another thread keeps there already: which of the two."""
        kept = self.setdefault(key, thing)
        if len(self) > KEPT:
            with suppress(KeyError):
                self.popitem(last=False)
        return kept
