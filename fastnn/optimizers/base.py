"""Optimizer: what all optimizers share, which is everything but the formula of a step."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from reprlib import repr as brief
from typing import Any, TypeAlias, TypedDict

import numpy as np

from fastnn import initializers, ops
from fastnn.arrays import COMPUTED_IN, DType, Shape, to_shape
from fastnn.caller import warn
from fastnn.configuration import Configurable, arguments_of, is_ours, serialize
from fastnn.forks import Lock
from fastnn.function import Function
from fastnn.hyperparameters import count, fraction, if_given, not_negative, positive
from fastnn.initializers import Initializer
from fastnn.lookup import refuse_options
from fastnn.naming import unique_name
from fastnn.ops import updates
from fastnn.optimizers.schedules import LearningRateSchedule
from fastnn.recorders import recorders
from fastnn.tensor import Tensor, TensorLike, convert
from fastnn.trace import paused
from fastnn.variable import Variable, all_or_nothing

# An object by the variable that it is for, with the version of its attributes.
Dependence: TypeAlias = tuple[int, Any, object]
Rate: TypeAlias = float | LearningRateSchedule | Callable[[], TensorLike]


# One thread at a time makes state: whoever comes second finds it made.
_building = Lock(threading.RLock)


class OtherOptions(TypedDict, total=False):
    """What every optimizer takes beside its own arguments, by name; see `Optimizer`."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    name: str | None
    lr: Rate | None


class Options(OtherOptions, total=False):
    """The same with weight decay, for optimizers that have none by default."""

    weight_decay: float | None


class Optimizer(Configurable):
    """Base class of all optimizers, and of your own.

    A subclass changes one variable in ``update_step(gradient, variable, learning_rate)``. It keeps
    what it needs for that in variables of its own: it names them, with the number that they start
    from, in the property `slots`, and gets them by ``slots_of(variable)``. Or it makes them in
    ``build(variables)`` by `add_variable_from_reference`.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        Not negative. A schedule is asked at every step, and so is a callable without arguments.
    weight_decay : float, optional
        Before each step a variable loses this share of itself, times the learning rate.
    clipnorm : float, optional
        The largest norm of a variable's gradient; a larger one is scaled down to it.
    clipvalue : float, optional
        The largest absolute value of a gradient's elements.
    global_clipnorm : float, optional
        The largest norm of all gradients together. Only one of the three can be given.
    use_ema : bool, default False
        Keep a running average of each variable; `finalize_variable_values` puts it in.
    ema_momentum : float in [0, 1], default 0.99
        The share of the old average in the new one.
    ema_overwrite_frequency : int, optional
        Put the averages in after every so many steps.
    name : str, optional
        By default made from the class.
    lr : float, optional
        The old name of `learning_rate`.

    Raises
    ------
    ValueError
        If a number is outside its range, or gradients are to be clipped in two ways.
    TypeError
        If there is no such option.

    Examples
    --------
    >>> import fastnn
    >>> class Signs(fastnn.optimizers.Optimizer):
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         rate = fastnn.cast(learning_rate, variable.dtype)
    ...         variable.assign_sub(rate * fastnn.sign(gradient))
    >>> w = fastnn.Variable([1.0, 2.0])
    >>> Signs(learning_rate=0.5).apply([[3.0, -1.0]], [w])
    >>> w
    Variable([0.5 2.5], shape=(2,), dtype=float32)
    """

    _aside = frozenset(["_kept", "_recorded", "_rested_on", "built"])

    def __init__(
        self,
        learning_rate: Rate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str | None = None,
        lr: Rate | None = None,
        **unknown: Any,
    ) -> None:
        refuse_options(type(self).__name__, lambda: arguments_of(type(self)), unknown)
        limits = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = [f"{limit}={value}" for limit, value in limits.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"only one way to clip gradients can be chosen, got {given}")
        self.name = unique_name(type(self)) if name is None else name
        self.weight_decay = if_given(not_negative, "weight_decay", weight_decay)
        self.clipnorm = if_given(positive, "clipnorm", clipnorm)
        self.clipvalue = if_given(positive, "clipvalue", clipvalue)
        self.global_clipnorm = if_given(positive, "global_clipnorm", global_clipnorm)
        self.use_ema = bool(use_ema)
        self.ema_momentum = fraction("ema_momentum", ema_momentum)
        self.ema_overwrite_frequency = if_given(
            count, "ema_overwrite_frequency", ema_overwrite_frequency
        )
        self.built = False
        self._iterations = Variable(np.int64(0), trainable=False, name="iterations")
        self._learning_rate = _rate(learning_rate if lr is None else lr)
        self._answer = Variable(np.float64(0), trainable=False)  # of a function that gives the rate
        self._variables: list[Variable] = []  # but for the two above
        self._trainable_variables: list[Variable] = []
        self._places: dict[int, int] = {}  # of those, by id
        self._slots: list[list[Variable]] = []
        self._model_variables_moving_average: list[Variable] = []
        self._not_decayed: tuple[list[Variable], list[str]] = ([], [])
        self._kept: list[str] = []  # for each variable, since the first was known
        self._rested_on: list[Dependence] = []  # at the last step
        self._recorded = Function(self._step)

    @property
    def iterations(self) -> Variable:
        """How often gradients have been applied."""
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable, or what a schedule says now. Assign a number to change it,
        or a schedule to follow that from the next step on (a `fastnn.function` of yours follows it
        when it is recorded anew).

        Raises
        ------
        TypeError
            If a number is assigned where a schedule decides.
        """
        rate = self._learning_rate
        return rate if isinstance(rate, Variable) else self._current_rate()

    @learning_rate.setter
    def learning_rate(self, value: Rate) -> None:
        new = _rate(value)
        if isinstance(self._learning_rate, Variable) and isinstance(new, Variable):
            self._learning_rate.assign(new)
        elif isinstance(new, Variable):
            raise TypeError(
                f"the learning rate of {self.name!r} is decided by {self._learning_rate!r}; make "
                "the optimizer with a number, learning_rate=0.01, to assign other numbers later"
            )
        else:
            self._learning_rate = new

    lr = learning_rate

    @property
    def variables(self) -> list[Variable]:
        """The whole state: iterations, the learning rate unless a schedule has it, and what belongs
        to the variables, in the order in which the optimizer got to know them.
        """
        rate = [self._learning_rate] if isinstance(self._learning_rate, Variable) else []
        return [self._iterations, *rate, *self._variables]

    @property
    def looks_beyond(self) -> bool:
        """Whether a step may have to do with variables that get no gradient: averages of all move,
        and what one of the user's does nobody knows.
        """
        return self.use_ema or self._is_custom

    def count_beyond(self, variables: Iterable[Variable]) -> int:
        """How many variables are known beside these."""
        given = set(map(id, variables))
        return sum(id(w) not in given for w in self._trainable_variables)

    def build(self, variables: Iterable[Variable]) -> None:
        """Make the state of variables; of those that have one already it stays.

        The first step does this by itself. To go on where another optimizer stopped, build and
        assign its `variables` to these.
        """
        parts: list[list[Any]] = [self._trainable_variables, self._variables, self._slots]
        parts.append(self._model_variables_moving_average)
        with _building.here():
            before = [len(part) for part in parts]
            try:
                for w in variables:
                    if not self.knows(w):
                        self._trainable_variables.append(_updatable(w))
                        self._make_slots(w)
                        # Now other threads may find it.
                        self._places[id(w)] = len(self._trainable_variables) - 1
            except BaseException:  # half of the state would be taken for that of other variables
                for part, length in zip(parts, before, strict=True):
                    del part[length:]
                self._places = {key: at for key, at in self._places.items() if at < before[0]}
                raise
            self._kept = self._kept or self._to_keep()
            self.built = True

    @property
    def slots(self) -> Mapping[str, float]:
        """What is kept for each variable, by name: the number that it starts from."""
        return {}

    def _to_keep(self) -> list[str]:
        return [*self.slots, *["average"] * self.use_ema]

    def _make_slots(self, w: Variable) -> None:
        if self.use_ema:
            average = self._tracked(w, f"{w.path}/average")
            self._model_variables_moving_average.append(average)
        self._slots.append(
            [
                self._tracked(np.broadcast_to(w.dtype.type(start), w.shape), f"{w.path}/{name}")
                for name, start in self.slots.items()
            ]
        )

    def _tracked(self, value: TensorLike, name: str) -> Variable:
        variable = Variable(value, trainable=False, name=name)
        self._variables.append(variable)
        return variable

    def add_variable(
        self,
        shape: Shape,
        initializer: str | Initializer = "zeros",
        dtype: DType = np.float32,
        name: str = "variable",
    ) -> Variable:
        """A new variable of the optimizer, which is saved with it.

        Parameters
        ----------
        shape : tuple of int
        initializer : str or callable, default "zeros"
        dtype : dtype, default float32
        name : str, default "variable"

        Raises
        ------
        ValueError
            If the initializer is unknown, or a length is negative.
        """
        return self._tracked(initializers.get(initializer)(to_shape(shape), dtype), name)

    def add_variable_from_reference(
        self,
        reference_variable: Variable,
        name: str = "variable",
        initializer: str | Initializer = "zeros",
    ) -> Variable:
        """A new variable of the shape and dtype of a model's; otherwise as `add_variable`.

        Parameters
        ----------
        reference_variable : Variable
        name : str, default "variable"
            Stands behind the path of the model's variable.
        initializer : str or callable, default "zeros"
        """
        shape, dtype = reference_variable.shape, reference_variable.dtype
        return self.add_variable(shape, initializer, dtype, f"{reference_variable.path}/{name}")

    def slots_of(self, variable: Variable) -> list[Variable]:
        """What `slots` names, for one variable."""
        return self._slots[self._get_variable_index(variable)]

    def _get_variable_index(self, variable: Variable) -> int:
        if not self.knows(variable):
            raise ValueError(
                f"the optimizer {self.name!r} does not know the variable {variable.path!r}; call "
                "build with all variables of the model first"
            )
        return self._places[id(variable)]

    def apply_gradients(self, grads_and_vars: Iterable[tuple[TensorLike | None, Variable]]) -> None:
        """Change each variable by its gradient.

        Parameters
        ----------
        grads_and_vars : iterable of (gradient, variable)
            A pair whose gradient is None is passed over, with a warning.

        Raises
        ------
        TypeError
            If something else than a variable stands second, or a variable is not of floats.
        ValueError
            If a gradient's shape is not its variable's, a variable comes twice, there is no
            gradient at all, or an option was changed, after the first step, on which it depends
            what is kept for each variable. Nothing is changed then.

        Examples
        --------
        >>> import fastnn
        >>> w = fastnn.Variable([1.0, 2.0])
        >>> fastnn.optimizers.SGD(learning_rate=0.5).apply_gradients([([2.0, 2.0], w)])
        >>> w
        Variable([0. 1.], shape=(2,), dtype=float32)
        """
        gradients, variables = self._taken_apart(list(grads_and_vars))
        rate, parts = self._current_rate(), self._rest_on(variables)
        if parts != self._rested_on:
            self._rested_on, self._recorded = parts, Function(self._step)
        elif self._may_be_recorded(parts):
            self._recorded(rate, *gradients, *variables)
            return
        with all_or_nothing():
            self._step(rate, *gradients, *variables)

    def _rest_on(self, variables: list[Variable]) -> list[Dependence]:
        """The objects whose attributes have a say in a step for these variables: this one, and
        constraints with the variables that they are for.
        """
        constraints = [(w, w._constraint) for w in variables if w._constraint is not None]
        beyond = self.count_beyond(variables) if self.looks_beyond else 0
        return [(0, self, (self._version, beyond))] + [
            (id(w), c, getattr(c, "_version", None)) for w, c in constraints
        ]

    def _taken_apart(self, given: list[Any]) -> tuple[list[Tensor], list[Variable]]:
        """The gradients that there are, and their variables, for which the optimizer is built."""
        if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in given):
            raise TypeError("gradients come with their variables: pass zip(gradients, variables)")
        if self.built and self._to_keep() != self._kept:
            raise ValueError(
                f"the optimizer {self.name!r} keeps {self._kept} for every variable; its options "
                f"call for {self._to_keep()} now: make another one, and compile with it"
            )
        new = [_updatable(w) for _, w in given if not self.knows(w)]
        variables = [w for g, w in given if g is not None]
        gradients = [_checked(g, w) for g, w in given if g is not None]
        if not gradients:
            raise ValueError(
                "there is no gradient to apply: does the loss depend on the variables, and was it "
                "computed inside the tape's with block, without NumPy's functions?"
            )
        if len({id(w) for _, w in given}) < len(given):
            raise ValueError("a variable comes twice; add its gradients up first")
        if len(gradients) < len(given):
            missing = [w.path for g, w in given if g is None]
            warn(
                f"there is no gradient for {missing}: they stay as they are; does the loss depend "
                "on them by fastnn's ops alone, without NumPy's functions?"
            )
        if new or not self.built:
            with paused():  # what it makes is the optimizer's, and so the same in all runs
                self.build([*self._trainable_variables, *new])
        return gradients, variables

    def apply(
        self,
        grads: Sequence[TensorLike | None],
        trainable_variables: Sequence[Variable] | None = None,
    ) -> None:
        """Change each variable by its gradient, as `apply_gradients` does.

        Parameters
        ----------
        grads : list of tensors
        trainable_variables : list of Variable, optional
            By default those that the optimizer was built with.
        """
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        if len(grads) != len(trainable_variables):
            raise ValueError(
                f"there are {len(grads)} gradients for {len(trainable_variables)} variables; give "
                "one for each (None where there is none), or build the optimizer first"
            )
        self.apply_gradients(zip(grads, trainable_variables, strict=True))

    def _may_be_recorded(self, parts: list[Dependence]) -> bool:
        """Whether a program may take the step: nobody looks on, and no part is the user's own code.

        A program cannot be interrupted half-way, so it needs no copies of what it changes.
        """
        if recorders.stack or recorders.undo is not None:
            return False
        return all(is_ours(type(part)) for _, part, _ in parts)

    def _step(self, rate: Tensor, *gradients_and_variables: Any) -> None:
        # `Function` looks through positional arguments fastest.
        half = len(gradients_and_variables) // 2
        gradients, variables = gradients_and_variables[:half], gradients_and_variables[half:]
        clipped = self._clip_gradients(gradients)
        if self.weight_decay:
            for w in filter(self._is_decayed, variables):
                w.assign_sub(w * ops.cast(rate * self.weight_decay, w.dtype))
        self.update_all(clipped, variables, rate)
        if self.use_ema:
            self._update_averages()
        for w in variables:
            if w.constraint is not None:
                w.assign(w.constraint(w.value))
        updates.count((self._iterations,))

    def update_all(
        self, gradients: Sequence[Tensor], variables: Sequence[Variable], learning_rate: Tensor
    ) -> None:
        """One step for all variables: `update_step` for each, unless there is more to do."""
        for g, w in zip(gradients, variables, strict=True):
            self.update_step(g, w, learning_rate)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Change one variable; `iterations` are the steps before this one.

        Parameters
        ----------
        gradient : Tensor
            Of the variable's shape and dtype, already clipped.
        variable : Variable
        learning_rate : Tensor of shape (), float64
            As it is at this step.

        Raises
        ------
        NotImplementedError
            If a subclass defines neither this method nor `update_all`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define update_step(self, gradient, variable, "
            "learning_rate)"
        )

    def assign(self, variable: Variable, value: TensorLike) -> None:
        """``variable.assign(value)``, as optimizers written for Keras have it."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: TensorLike) -> None:
        """``variable.assign_add(value)``."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: TensorLike) -> None:
        """``variable.assign_sub(value)``."""
        variable.assign_sub(value)

    def _current_rate(self) -> Tensor:
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return rate.value
        if not isinstance(rate, LearningRateSchedule):
            updates.ask((self._answer,), question=partial(_one_number, rate))
            return self._answer.value
        return _one_number(rate, self._iterations.value)

    def _steps_with_this(self) -> Tensor:
        """t = 1, 2, ... in float64."""
        return ops.cast(self._iterations.value, np.float64) + 1

    def _clip_gradients(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        if self.clipnorm is not None:
            return [ops.clip_by_norm(g, self.clipnorm) for g in gradients]
        if self.clipvalue is not None:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.global_clipnorm is not None:
            clipped, _ = ops.clip_by_global_norm(gradients, self.global_clipnorm)
            return [g for g in clipped if g is not None]
        return list(gradients)

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Leave variables out of weight decay.

        Parameters
        ----------
        var_list : list of Variable, optional
        var_names : list of str, optional
            Regular expressions; a variable is left out if one is found in its name.

        Raises
        ------
        ValueError
            If the optimizer has been built.
        """
        if self.built:
            raise ValueError(
                f"the optimizer {self.name!r} is built already; call exclude_from_weight_decay "
                "before its first step"
            )
        self._not_decayed = (list(var_list or ()), list(var_names or ()))

    def _is_decayed(self, w: Variable) -> bool:
        variables, names = self._not_decayed
        return not any(w is v for v in variables) and not any(re.search(n, w.name) for n in names)

    def _update_averages(self) -> None:
        """Move the averages, which begin as what the first step makes, and put them in if due."""
        step = self._steps_with_this()
        old = self.ema_momentum * ops.minimum(step - 1, 1.0)
        new = 1 - old
        averages = self._model_variables_moving_average
        for w, average in zip(self._trainable_variables, averages, strict=True):
            average.assign(average * ops.cast(old, w.dtype) + w * ops.cast(new, w.dtype))
        every = self.ema_overwrite_frequency
        if every is not None:
            due = ops.equal(ops.floor(step / every) * every, step)
            for w, average in zip(self._trainable_variables, averages, strict=True):
                w.assign(ops.where(due, average, w))

    def knows(self, variable: Variable) -> bool:
        """Whether it has changed this variable before, or was built for it."""
        return id(variable) in self._places

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Put the averages in the place of the variables, if there are any: the end of training."""
        if self.use_ema and self.built:
            places = [self._get_variable_index(w) for w in var_list]
            with all_or_nothing():
                for at in places:
                    average = self._model_variables_moving_average[at]
                    self._trainable_variables[at].assign(average)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer, without its state."""
        config = super().get_config() | {"learning_rate": serialize(self._learning_rate)}
        config.pop("lr", None)
        return config

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_places": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The copies of variables have other ids than the originals.
        places = {id(w): at for at, w in enumerate(state["_trainable_variables"])}
        vars(self).update(state, _places=places)


def _rate(value: Rate) -> Any:
    """A variable for a number; a schedule or another callable itself."""
    if callable(value):
        return value
    number = np.float64(not_negative("learning_rate", value))
    return Variable(number, trainable=False, name="learning_rate")


def _one_number(rate: Callable[..., TensorLike], *arguments: Tensor) -> Tensor:
    now = convert(rate(*arguments), np.float64)
    if now.shape != ():
        raise ValueError(f"a learning rate is one number, and {rate!r} gave the shape {now.shape}")
    return now


def _updatable(w: Variable) -> Variable:
    if not isinstance(w, Variable) or w.dtype not in COMPUTED_IN:
        raise TypeError(
            f"only a Variable of float32 or float64 can be updated, got {brief(w)}; the pairs are "
            "(gradient, variable)"
        )
    return w


def _checked(g: TensorLike, w: Variable) -> Tensor:
    gradient = convert(g, w._array.dtype)
    if gradient._array.shape != w._array.shape:
        raise ValueError(
            f"the gradient of variable {w.path!r} has shape {gradient.shape} and the variable "
            f"{w.shape}; they must be equal"
        )
    return gradient
