"""Optimizers: how gradients change variables. The formulas are Keras 3's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn.lookup import resolve
from fastnn.ops import updates
from fastnn.tensor import Tensor, TensorLike, Variable, convert


class Optimizer:
    """Base class: the learning rate, the slots of each variable, and `apply_gradients`.

    A subclass names its slots in `slots` (with their start values) and changes one variable in
    `update`.

    Parameters
    ----------
    learning_rate : float
        Positive and finite. The old name `lr` works too.
    """

    slots: dict[str, float]

    def __init__(self, learning_rate: float, lr: float | None = None) -> None:
        self._iterations = Variable(np.int64(0), trainable=False, name="iterations")
        rate = _positive("learning_rate", learning_rate if lr is None else lr)
        self._learning_rate = Variable(np.float64(rate), trainable=False, name="learning_rate")
        self._states: dict[int, tuple[Variable, list[Variable]]] = {}
        self.slots = {}

    @property
    def iterations(self) -> Variable:
        """How often gradients have been applied."""
        return self._iterations

    @property
    def learning_rate(self) -> Variable:
        """The learning rate; assign a number to change it."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate.assign(np.float64(_positive("learning_rate", value)))

    @property
    def variables(self) -> list[Variable]:
        """The state: iterations, the learning rate, and the slots in order of first use."""
        slots = [slot for _, slots in self._states.values() for slot in slots]
        return [self._iterations, self._learning_rate, *slots]

    def apply_gradients(self, grads_and_vars: Iterable[tuple[TensorLike | None, Variable]]) -> None:
        """Change each variable by its gradient.

        Parameters
        ----------
        grads_and_vars : iterable of (gradient, variable)
            A pair whose gradient is None is passed over.

        Raises
        ------
        TypeError
            If something else than a variable stands second, or a variable is not of floats.
        ValueError
            If a gradient's shape is not its variable's, a variable comes twice, or there is no
            gradient at all. Nothing is changed then.

        Examples
        --------
        >>> import fastnn
        >>> w = fastnn.Variable([1.0, 2.0])
        >>> fastnn.optimizers.SGD(learning_rate=0.5).apply_gradients([([2.0, 2.0], w)])
        >>> w
        Variable([0. 1.], shape=(2,), dtype=float32)
        """
        pairs = [_checked(g, w) for g, w in grads_and_vars if g is not None]
        if not pairs:
            raise ValueError(
                "there is no gradient to apply: does the loss depend on the variables, and was it "
                "computed inside the tape's with block?"
            )
        if len({id(w) for _, w in pairs}) < len(pairs):
            raise ValueError("a variable comes twice; add its gradients up first")
        states = [self._state(w) for _, w in pairs]
        updates.count(self._iterations)
        for (g, w), state in zip(pairs, states, strict=True):
            self.update(w, state, g)

    def update(self, w: Variable, slots: list[Variable], g: Tensor) -> None:
        """Change one variable and its slots; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} must define update(self, w, slots, g)")

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_states": list(self._states.values())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The copies of variables have other ids than the originals.
        vars(self).update(state, _states={id(w): (w, slots) for w, slots in state["_states"]})

    def _state(self, w: Variable) -> list[Variable]:
        if id(w) not in self._states:
            new = [
                Variable(np.full(w.shape, start, w.dtype), trainable=False, name=f"{w.name}/{name}")
                for name, start in self.slots.items()
            ]
            self._states[id(w)] = (w, new)
        return self._states[id(w)][1]


def _checked(g: TensorLike, w: Variable) -> tuple[Tensor, Variable]:
    if not isinstance(w, Variable) or w.dtype not in (np.float32, np.float64):
        raise TypeError(f"only a Variable of float32 or float64 can be updated, got {w!r}")
    gradient = convert(g, w.dtype)
    if gradient.shape != w.shape:
        raise ValueError(
            f"the gradient of variable {w.name!r} has shape {gradient.shape} and the variable "
            f"{w.shape}; they must be equal"
        )
    return gradient, w


def _number(value: Any) -> float:
    """`value` as a float, NaN if it is no number."""
    try:
        return math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        return math.nan


def _positive(name: str, value: Any) -> float:
    number = _number(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    return number


def _fraction(name: str, value: Any, below_one: bool = False) -> float:
    number = _number(value)
    if not 0 <= number <= 1 or (below_one and number == 1):
        interval = "[0, 1)" if below_one else "[0, 1]"
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")
    return number


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    Without momentum w -= learning_rate * g. With it v = momentum * v - learning_rate * g and w +=
    v, or, with Nesterov's rule, w += momentum * v - learning_rate * g.

    Parameters
    ----------
    learning_rate : float, default 0.01
    momentum : float in [0, 1], default 0
    nesterov : bool, default False
    lr : float, optional
        The old name of `learning_rate`.

    Raises
    ------
    ValueError
        If a number is outside its range.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        lr: float | None = None,
    ) -> None:
        super().__init__(learning_rate, lr)
        self.momentum = _fraction("momentum", momentum)
        self.nesterov = nesterov
        if self.momentum:
            self.slots = {"momentum": 0.0}

    def update(self, w: Variable, slots: list[Variable], g: Tensor) -> None:
        """One step for one variable."""
        if self.momentum:
            rate = self.learning_rate
            updates.momentum(w, slots[0], g, rate, self.momentum, self.nesterov)
        else:
            updates.sgd(w, g, self.learning_rate)


class Adagrad(Optimizer):
    """Steps that shrink with the sum of squared gradients: a += g^2; w -= learning_rate * g /
    sqrt(a + e).

    Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011.

    Parameters
    ----------
    learning_rate : float, default 0.001
    initial_accumulator_value : float, default 0.1
        The start of a; not negative.
    epsilon : float, default 1e-7
        The e of the formula.
    lr : float, optional
        The old name of `learning_rate`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        lr: float | None = None,
    ) -> None:
        super().__init__(learning_rate, lr)
        start = _number(initial_accumulator_value)
        if not 0 <= start < math.inf:
            raise ValueError(
                f"initial_accumulator_value must not be negative, got {initial_accumulator_value!r}"
            )
        self.epsilon = _positive("epsilon", epsilon)
        self.slots = {"accumulator": start}

    def update(self, w: Variable, slots: list[Variable], g: Tensor) -> None:
        """One step for one variable."""
        updates.adagrad(w, slots[0], g, self.learning_rate, self.epsilon)


class RMSprop(Optimizer):
    """Steps scaled by a running mean of squared gradients: v = rho * v + (1 - rho) * g^2;
    w -= learning_rate * g / sqrt(v + e).

    Tieleman and Hinton, "Lecture 6.5 - rmsprop", 2012. As in Keras 3, e stands under the root;
    TensorFlow 2's Keras and PyTorch have it outside.

    Parameters
    ----------
    learning_rate : float, default 0.001
    rho : float in [0, 1], default 0.9
    epsilon : float, default 1e-7
        The e of the formula.
    lr : float, optional
        The old name of `learning_rate`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        lr: float | None = None,
    ) -> None:
        super().__init__(learning_rate, lr)
        self.rho = _fraction("rho", rho)
        self.epsilon = _positive("epsilon", epsilon)
        self.slots = {"velocity": 0.0}

    def update(self, w: Variable, slots: list[Variable], g: Tensor) -> None:
        """One step for one variable."""
        updates.rmsprop(w, slots[0], g, self.learning_rate, self.rho, self.epsilon)


class Adam(Optimizer):
    """Steps along a running mean of gradients, scaled by one of their squares.

    m += (g - m) * (1 - beta_1); v += (g^2 - v) * (1 - beta_2); w -= a * m / (sqrt(v) + e), with
    a = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) at the t-th step. Kingma and Ba, "Adam:
    a method for stochastic optimization", 2014.

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_1 : float in [0, 1), default 0.9
    beta_2 : float in [0, 1), default 0.999
    epsilon : float, default 1e-7
        The e of the formula.
    lr : float, optional
        The old name of `learning_rate`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        lr: float | None = None,
    ) -> None:
        super().__init__(learning_rate, lr)
        self.beta_1 = _fraction("beta_1", beta_1, below_one=True)
        self.beta_2 = _fraction("beta_2", beta_2, below_one=True)
        self.epsilon = _positive("epsilon", epsilon)
        self.slots = {"momentum": 0.0, "velocity": 0.0}

    def update(self, w: Variable, slots: list[Variable], g: Tensor) -> None:
        """One step for one variable."""
        updates.adam(
            w,
            slots[0],
            slots[1],
            g,
            self.learning_rate,
            self.iterations,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )


_NAMES: dict[str, type[Optimizer]] = {
    "adagrad": Adagrad,
    "adam": Adam,
    "rmsprop": RMSprop,
    "sgd": SGD,
}


def get(identifier: str | type[Optimizer] | Optimizer) -> Optimizer:
    """An optimizer by its name (in any case), by its class, or the object itself."""
    name = identifier.lower() if isinstance(identifier, str) else identifier
    found: Optimizer = resolve("optimizer", name, _NAMES, Optimizer)
    return found
