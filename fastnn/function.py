"""function: a step of your own, recorded once and then run as a program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from functools import partial, update_wrapper
from typing import Any, NamedTuple, overload

import numpy as np

from fastnn import _kernels
from fastnn._kernels import CompressedRows, wrap
from fastnn.arrays import COMPUTED_IN, Array
from fastnn.changes import computing
from fastnn.forks import Lock
from fastnn.ops.elementwise import copy
from fastnn.passes import products_with, with_rows
from fastnn.phase import phase
from fastnn.program import Program
from fastnn.recent import Recent
from fastnn.recorders import recorders
from fastnn.sparse import may_save_time, saves_time
from fastnn.structure import Structure, filled, leaves
from fastnn.tensor import Tensor, to_array
from fastnn.trace import Instruction, Trace, Value
from fastnn.variable import Variable

BY_VALUE = (int, str, bytes, complex, type, type(None), np.generic, np.dtype, Enum)


class Traced(NamedTuple):
    """What a function computes for arguments of one kind."""

    instructions: list[Instruction]
    inputs: list[Value]
    results: list[Value]
    structure: Structure  # what the function returned


def trace(
    function: Callable[..., Structure], inputs: list[Tensor], *args: Any, **kwargs: Any
) -> Traced:
    """Record one call; `inputs` are the tensors among the arguments that differ from run to run.

    Raises
    ------
    TraceError
        If the function looks at a value, or does something else that a program cannot.
    """
    recording = Trace()
    with computing(), recording.opened():
        values = [recording.input(x) for x in inputs]
        structure = function(*args, **kwargs)
    recording.end()
    results = []
    for leaf in leaves(structure):
        if _is_tensor(leaf):
            # Into memory of its own: what it is read from may be updated, or be an input.
            value = recording.value_of(leaf)
            result = Value(value.shape, value.dtype)
            recording.instructions.append(Instruction(copy, (value,), {}, (result,)))
            results.append(result)
    recording.forget()
    return Traced(recording.instructions, values, results, structure)


class _Runs(NamedTuple):
    """A program, and by their places those of its inputs that it takes as rows without zeros."""

    program: Program
    rows: dict[int, CompressedRows]


class _Entry(NamedTuple):
    """A program, which of the arguments it takes, and what its caller gets."""

    traced: Traced
    runs: _Runs
    inputs: list[int]
    is_flat: bool  # the leaves of the arguments are the positional arguments themselves
    is_single: bool  # one tensor is returned, and no structure
    kept: Any  # what the key refers to by id
    # By their places the inputs that only products read, with the columns of each product; and the
    # programs that take some of these as rows.
    in_products: dict[int, list[int]]
    without_zeros: dict[tuple[int, ...], _Runs]

    def arrays(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Array]:
        """Those among the arguments."""
        all_of_them = None if kwargs else _kernels.arrays_of(args)
        if all_of_them is not None:  # the usual arguments
            return all_of_them
        given = args if self.is_flat else leaves((args, kwargs))
        return [
            x._array if isinstance(x := given[at], Tensor) else to_array(x) for at in self.inputs
        ]

    def computed(self, arrays: list[Array]) -> list[Tensor]:
        """The results for these arrays."""
        if not self.in_products:
            return self.runs.program.computed(arrays)
        program, rows = self.runs_for(arrays)
        return program.computed(_filled(rows, arrays))

    def runs_for(self, arrays: list[Array]) -> _Runs:
        """What runs fastest for these arrays."""
        places = tuple(
            at
            for at, columns in self.in_products.items()
            if saves_time(arrays[at], min(columns), len(columns))
        )
        if not places:
            return self.runs
        if places not in self.without_zeros:
            self.without_zeros[places] = self._runs_without_zeros(places)
        return self.without_zeros[places]

    def _runs_without_zeros(self, places: tuple[int, ...]) -> _Runs:
        instructions, inputs, results, _ = self.traced
        rows = {}
        for at in places:
            x = inputs[at]
            rows[at] = _kernels.empty_rows(x.shape[0], x.shape[1], x.dtype)
            instructions = with_rows(instructions, x, rows[at])
        others = [x for at, x in enumerate(inputs) if at not in rows]
        return _Runs(Program(instructions, others, results), rows)


class Function:
    """A function over tensors that runs as a program; made by `function`.

    Attributes
    ----------
    python_function : callable
        The function as it was written.
    """

    def __init__(self, python_function: Callable[..., Structure]) -> None:
        self.python_function = python_function
        self._entries: Recent[Any, _Entry] = Recent()
        # Programs serve one thread at a time, and update the same variables,
        self._lock = Lock(threading.RLock)
        self._thread = 0  # which is this one
        update_wrapper(self, python_function, updated=())

    def __getstate__(self) -> dict[str, Any]:
        # Programs are of the original's variables.
        return {**vars(self), "_entries": Recent(), "_lock": Lock(threading.RLock), "_thread": 0}

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else _Method(self, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Structure:
        if recorders.stack:  # a tape or another trace wants to see the ops themselves
            return self.python_function(*args, **kwargs)
        entry = self._entry(args, kwargs)
        thread = threading.get_ident()
        if self._thread == thread:  # a signal is handled in the midst of such a call
            return self.python_function(*args, **kwargs)
        with self._lock.here():
            try:
                self._thread = thread
                results = entry.computed(entry.arrays(args, kwargs))
            finally:
                self._thread = 0
        if entry.is_single:
            return results[0]
        parts = iter(results)
        structure = entry.traced.structure
        returned = leaves(structure)
        return filled(structure, (next(parts) if _is_tensor(x) else x for x in returned))

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The program that runs for such arguments; it is made if there is none."""
        entry = self._entry(args, kwargs)
        return entry.runs_for(entry.arrays(args, kwargs)).program

    def describe(self, *args: Any, profile: bool = False, **kwargs: Any) -> str:
        """The program for such arguments, as tables: what was recorded, and what runs.

        Parameters
        ----------
        *args, **kwargs
            As for a call.
        profile : bool, default False
            Show the time that each instruction takes, on average over 10 calls. Variables are as
            before afterwards.

        Examples
        --------
        >>> import fastnn
        >>> @fastnn.function
        ... def half_square(x):
        ...     return 0.5 * x * x
        >>> print(half_square.describe(fastnn.ones((2,))))
           recorded  inputs             output  bytes
        -  --------  -----------------  ------  -----
        0  multiply  constant (), (2,)  (2,)       20
        1  multiply  (2,), (2,)         (2,)       24
        2  copy      (2,)               (2,)       16
        <BLANKLINE>
           runs               inputs             output  bytes  in
        -  -----------------  -----------------  ------  -----  --
        0  multiply multiply  (2,), constant ()  (2,)       20  C
        <BLANKLINE>
        8 bytes of memory for all values, variables and constants apart
        """
        program = self.program(*args, **kwargs)
        if not profile:
            return program.describe()

        def calls() -> int:
            for _ in range(10):
                self(*args, **kwargs)
            return 10

        with self._lock.here():  # other threads wait with theirs
            return program.describe(program.profiled(calls))

    def _entry(self, args: Any, kwargs: Any) -> _Entry:
        others = phase.training, _kernels.settings()
        key = None if kwargs else _kernels.signature(args, others)
        if key is None:
            key = (*map(_key, args), *kwargs, *map(_key, kwargs.values()), *others)
        entry = self._entries.found(key)
        return self._entries.keep(key, self._made(args, kwargs)) if entry is None else entry

    def _made(self, args: Any, kwargs: Any) -> _Entry:
        given = leaves((args, kwargs))
        examples = [wrap(to_array(x).copy()) if _is_input(x) else x for x in given]
        example_args, example_kwargs = filled((args, kwargs), iter(examples))
        # Such as the owner of a method, which may be a list: it is itself, with its attributes.
        example_args = tuple(
            given if not any(map(_is_input, leaves(given))) else example
            for given, example in zip(args, example_args, strict=True)
        )
        inputs = [at for at, leaf in enumerate(given) if _is_input(leaf)]
        traced = trace(
            self.python_function, [examples[at] for at in inputs], *example_args, **example_kwargs
        )
        runs = _Runs(Program(traced.instructions, traced.inputs, traced.results), {})
        kept = [x for x in given if not _is_input(x)]
        is_flat = list(map(id, given)) == list(map(id, args))
        is_single = type(traced.structure) is Tensor
        return _Entry(traced, runs, inputs, is_flat, is_single, kept, _in_products(traced), {})


class _Method(partial[Structure]):
    """A Function as a method of an object, which is its first argument."""

    def _function(self) -> Function:
        function = self.func
        assert isinstance(function, Function)
        return function

    @property
    def python_function(self) -> Callable[..., Structure]:
        """The method as it was written."""
        return partial(self._function().python_function, *self.args)

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """As `Function.program`."""
        return self._function().program(*self.args, *args, **kwargs)

    def describe(self, *args: Any, profile: bool = False, **kwargs: Any) -> str:
        """As `Function.describe`."""
        return self._function().describe(*self.args, *args, profile=profile, **kwargs)


@overload
def function(python_function: Callable[..., Structure]) -> Function: ...
@overload
def function(
    python_function: None = None,
    *,
    jit_compile: bool | None = None,
    input_signature: Any = None,
    reduce_retracing: bool = False,
    autograph: bool = False,
) -> Callable[[Callable[..., Structure]], Function]: ...
def function(
    python_function: Callable[..., Structure] | None = None,
    *,
    jit_compile: bool | None = None,
    input_signature: Any = None,
    reduce_retracing: bool = False,
    autograph: bool = False,
) -> Function | Callable[[Callable[..., Structure]], Function]:
    """Decorator: compile a step or a model to a program that runs without Python.

    The first call with tensors of some shapes and dtypes runs the Python code once, to record the
    ops; later calls run what was recorded, with the same bits. Small steps then cost their
    arithmetic alone.

    Parameters
    ----------
    python_function : callable
        Tensors and arrays among its arguments, also in nested lists, tuples and dicts, are the
        inputs of the program; an array becomes a tensor of its own dtype. Everything else is taken
        as it is in the first call, and a call with another number, string or object records anew.
        So are Python's own effects: a ``print``, an ``append``, a number that is read from a global
        or an attribute, such as a dropout's rate, or drawn by NumPy happen, or count, while
        recording only, apart from an optimizer's learning rate; a tensor that is kept from inside
        and not returned is gone afterwards. Probabilities that go in or come out are numbers: a
        loss on the other side cannot go back to their logits, as it does where both are called
        op by op or are inside. A Variable is read and updated at every run, so are a
        layer's weights; those made while recording are made once. Of an input that only products
        read and that is mostly zeros, these are left out, which changes no bit.
    jit_compile, input_signature, reduce_retracing, autograph : optional
        Without effect, as everything is compiled, for each signature as it comes:
        ``@function(jit_compile=True)`` is TensorFlow's way to ask for it.

    Returns
    -------
    Function
        Called as the function was. Under an open GradientTape it runs op by op, so that gradients
        flow through it.

    Raises
    ------
    TraceError
        On a call, if the function looks at a value that is known only at run time: ``if`` on a
        tensor, ``float(x)``, ``x.numpy()``. The message names the line and the remedy.

    Examples
    --------
    >>> import fastnn
    >>> w = fastnn.Variable([1.0, 2.0])
    >>> @fastnn.function
    ... def step(x):
    ...     with fastnn.GradientTape() as tape:
    ...         loss = fastnn.reduce_sum((w - x) ** 2)
    ...     w.assign_sub(0.25 * tape.gradient(loss, w))
    ...     return loss
    >>> [float(step(fastnn.zeros((2,)))) for _ in range(3)]
    [5.0, 1.25, 0.3125]
    """
    return function if python_function is None else Function(python_function)


def _in_products(traced: Traced) -> dict[int, list[int]]:
    """As `_Entry.in_products`, where it may be worth looking for zeros."""
    products = {
        at: products_with(x, traced.instructions)
        for at, x in enumerate(traced.inputs)
        if x.dtype in COMPUTED_IN
    }
    return {
        at: columns
        for at, columns in products.items()
        if columns and may_save_time(traced.inputs[at].shape, min(columns), len(columns))
    }


def _filled(rows: dict[int, CompressedRows], arrays: list[Array]) -> list[Array]:
    """The arrays that are no rows, after the others have been written into these."""
    for at, kept in rows.items():
        _kernels.fill_rows(arrays[at], kept)
    return [array for at, array in enumerate(arrays) if at not in rows]


def _is_tensor(x: Any) -> bool:
    return isinstance(x, Tensor) and not isinstance(x, Variable)


def _is_input(x: Any) -> bool:
    return isinstance(x, np.ndarray) or _is_tensor(x)


def _key(x: Any) -> Any:
    """What a program depends on of an argument."""
    if isinstance(x, Variable):
        return id(x)
    if isinstance(x, Tensor | np.ndarray):
        return x.shape, x.dtype
    if isinstance(x, dict):
        return (type(x), *x, *map(_key, x.values()))
    if isinstance(x, list | tuple):
        return (type(x), *map(_key, x))
    if isinstance(x, float | np.floating):
        return type(x), repr(x)  # 0.0 == -0.0, and NaN is not itself
    if not isinstance(x, type | np.generic) and (hasattr(x, "__array__") or hasattr(x, "toarray")):
        raise TypeError(
            f"an argument of a compiled function is a {type(x).__name__}: make an array of it, "
            "np.asarray(x), or x.toarray() if it is a SciPy matrix"
        )
    # Of other objects, equal ones may hold different things.
    return (type(x), x) if isinstance(x, BY_VALUE) else id(x)
