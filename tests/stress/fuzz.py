"""A fuzzer of a reader of files, led by which lines of fastnn a file reaches.

It runs in a process of its own, ``python fuzz.py KIND FOLDER OPTION...``, as libFuzzer ends the
process: with an error if a file does what `reading.tried` forbids, and that file in the folder.
What is in the folder's corpus is where it starts. The options are libFuzzer's.
"""

import difflib  # noqa: F401  # what messages use is imported before anybody watches
import random
import sys
import tracemalloc
import warnings
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastnn"]):
    from fastnn import models
    from fastnn.datasets import idx

from mutator import mutated
from reading import put, tried

READERS = {
    "model": models.load_model,
    "idx": lambda path: idx.read_idx(path.read_bytes(), path.name),
}


def mutate(content, size, seed):
    """Mostly a header that stays one; else bytes here and there."""
    rng = random.Random(seed)
    if rng.random() < 0.9:
        with suppress(ValueError, RecursionError):  # it was none
            changed = mutated(content, rng)
            if len(changed) <= size:
                return changed
    return atheris.Mutate(content, size)


def main():
    kind, folder, *options = sys.argv[1:]
    path, corpus, read = Path(folder, "file"), Path(folder, "corpus"), READERS[kind]

    def one(content):
        put(path, content)
        tried(lambda: read(path), path, len(content))

    for seed in corpus.iterdir():
        with suppress(ValueError):
            read(seed)  # what Python imports once is imported
    warnings.simplefilter("ignore")  # of what a strange model does
    tracemalloc.start()
    arguments = [sys.argv[0], *options, f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup(arguments, one, **({"custom_mutator": mutate} if kind == "model" else {}))
    atheris.Fuzz()


main()
