"""Files of models with headers that were changed, mostly so that they stay headers."""

import copy
import json
import struct

from fastnn import layers, losses, metrics, models, optimizers

LARGE = ["n" * 2**20, [[]] * 2**15]
# What a header may have in the place of something else.
VALUES = [
    *(None, True, False, 0, 1, -1, 2, 7, 255, 2**16, 2**31, 2**53, 2**63, 10**20, 10**300),
    *(0.5, -0.0, 1e-320, 1e308, "", "a", "0", "relu", "float16", "float64", "é", "\0", "None"),
    *([], [[]], {}, [None], [1, 2, 3], [0], {"a": 1}, {"class_name": "Dense"}, [2**40, 2**40]),
    *LARGE,
]
LARGEST = 2**16  # characters of what is copied to another place, which may happen again and again
NAMES = [
    name for family in (layers, losses, metrics, optimizers, models) for name in family.__all__
]


class Mutator:
    """Changes a header here and there, mostly so that it stays one."""

    def __init__(self, header, rng):
        self.rng = rng
        try:
            self.header = json.loads(header)
            self.description = json.loads(self.header["__metadata__"].pop("fastnn"))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("this is no header that describes a model") from error
        if not isinstance(self.description, dict):
            raise ValueError("the description of the model is no object")

    def mutated(self):
        """The header after some changes."""
        for _ in range(self.rng.choice((1, 1, 1, 2, 3, 8))):
            tree = self.header if self.rng.random() < 0.25 else self.description
            self._change(tree)
        text = self.text()
        return self._scratched(text) if self.rng.random() < 0.1 else text

    def text(self):
        """The header as bytes."""
        self.header.setdefault("__metadata__", {})
        if isinstance(self.header["__metadata__"], dict):
            self.header["__metadata__"]["fastnn"] = json.dumps(self.description)
        return json.dumps(self.header).encode()

    def places(self, node):
        """All that can be changed: the containers, each with a key or an index."""
        entries = node.items() if isinstance(node, dict) else enumerate(node)
        for key, part in list(entries):
            yield node, key
            if isinstance(part, dict | list):
                yield from self.places(part)

    def _change(self, tree):
        places = list(self.places(tree))
        if not places:
            return
        node, key = self.rng.choice(places)
        change = self.rng.choice(
            (self._replace, self._replace, self._graft, self._drop, self._nudge)
        )
        change(node, key, places)

    def _replace(self, node, key, places):
        known = key == "class_name" or isinstance(node[key], str)
        value = self.rng.choice(NAMES if known and self.rng.random() < 0.7 else VALUES)
        node[key] = copy.deepcopy(value)  # which may be changed itself

    def _graft(self, node, key, places):
        other, place = self.rng.choice(places)
        if place in other if isinstance(other, dict) else place < len(other):
            text = json.dumps(other[place])
            if len(text) < LARGEST:
                node[key] = json.loads(text)

    def _drop(self, node, key, places):
        del node[key]

    def _nudge(self, node, key, places):
        value = node[key]
        if isinstance(value, list) and value:
            value.append(self.rng.choice(value))
        elif isinstance(value, dict) and isinstance(node, dict):
            node[str(self.rng.choice(NAMES))] = value
        elif type(value) is int:
            node[key] = self.rng.choice((value + 1, value - 1, -value, 2 * value, 1000 * value))

    def _scratched(self, text):
        scratched = bytearray(text)
        for _ in range(self.rng.randint(1, 4)):
            scratched[self.rng.randrange(len(scratched))] = self.rng.choice(b'{}[]",:0e-\\\xff')
        return bytes(scratched)


def swollen(content, large):
    """Files with something large in one place after another."""
    header, data = split(content)
    mutator = Mutator(header, None)
    for tree in (mutator.description, mutator.header):
        for node, key in list(mutator.places(tree)):
            before, node[key] = node[key], large
            yield packed(mutator.text(), data)
            node[key] = before


def split(content):
    """The header of a file, and the tensors."""
    start = 8 + int.from_bytes(content[:8], "little")
    return content[8:start], content[start:]


def packed(text, data):
    """A file of a header and of tensors."""
    return struct.pack("<Q", len(text)) + text + data


def mutated(content, rng):
    """A file with another header; ValueError if it has none."""
    header, data = split(content)
    return packed(Mutator(header, rng).mutated(), data)
