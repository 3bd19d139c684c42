"""Recent: the programs that were used last."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import TypeVar

KEPT = 16

Key = TypeVar("Key")
Thing = TypeVar("Thing")


class Recent(OrderedDict[Key, Thing]):
    """At most KEPT things by key, for several threads; the last ones used stand last."""

    # What was asked for last, and most likely is again: comparing keys is cheaper than hashing one.
    _last: tuple[Key, Thing] | None = None

    def found(self, key: Key) -> Thing | None:
        """What is kept under a key, if there is something."""
        last = self._last
        if last is not None and last[0] == key:
            return last[1]
        thing = self.get(key)
        if thing is not None:
            self._put_last()
            self._last = key, thing
        return thing

    def keep(self, key: Key, thing: Thing) -> Thing:
        """Keep a thing, or what another thread keeps there already: which of the two."""
        kept = self.setdefault(key, thing)
        self._put_last()
        self._last = key, kept
        if len(self) > KEPT:
            with suppress(KeyError):  # another thread may have made room
                self.popitem(last=False)
        return kept

    def clear(self) -> None:
        """Forget all."""
        self._last = None
        super().clear()

    def _put_last(self) -> None:
        """Have what was used up to now stand last."""
        if self._last is not None:
            with suppress(KeyError):  # another thread may have forgotten it
                self.move_to_end(self._last[0])
