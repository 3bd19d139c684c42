"""GradientTape: records calls of primitives and walks them back."""

from __future__ import annotations

from typing import Any, Literal

from fastnn._kernels import TapeBase, gradient_key
from fastnn.backward import accumulate, walk_back
from fastnn.caller import warn
from fastnn.ops.creation import ones_like, zeros_like
from fastnn.recorders import recorders
from fastnn.structure import NODES, Structure, filled, leaves
from fastnn.tensor import Tensor, convert, unshared
from fastnn.variable import Variable


def _pairs(targets: Structure, weights: Structure | None) -> list[tuple[Tensor, Any]]:
    """Each target with its weights, or with None."""
    if not isinstance(targets, NODES):
        return [(targets, weights)]
    if weights is None:
        return [(target, None) for target in leaves(targets)]
    places: Any = targets if isinstance(targets, dict) else range(len(targets))
    if not isinstance(weights, NODES) or len(weights) != len(targets):
        raise ValueError(
            f"there are {len(targets)} targets in a {type(targets).__name__}: output_gradients "
            "must be one with as many tensors"
        )
    return [pair for at in places for pair in _pairs(targets[at], weights[at])]


class GradientTape(TapeBase):
    """Records what is computed inside its ``with`` block, to differentiate it afterwards.

    Trainable variables are watched by themselves, tensors after `watch`. Tapes nest: a gradient
    taken while an outer tape is open is recorded there, which gives second derivatives.

    Parameters
    ----------
    persistent : bool, default False
        Allow several calls of `gradient`; otherwise the first one frees what was recorded.
    watch_accessed_variables : bool, default True
        Whether trainable variables are watched by themselves.

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.Variable(3.0)
    >>> with fastnn.GradientTape() as tape:
    ...     y = x * x + 2 * x
    >>> tape.gradient(y, x)
    Tensor(8.0, shape=(), dtype=float32)
    """

    members_of = recorders

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        super().__init__(persistent, watch_accessed_variables)

    def watch(self, tensor: Structure) -> None:
        """Follow a tensor, or tensors in nested lists, as a variable is followed.

        Raises
        ------
        TypeError
            If something is not a tensor of floats: nothing else has a gradient.
        """
        watched = leaves(tensor)
        for leaf in watched:
            if not isinstance(leaf, Tensor):
                raise TypeError(
                    f"only tensors can be watched, got {type(leaf).__name__}; make a tensor of it "
                    "with constant(...) and compute with that"
                )
            if leaf.dtype.kind != "f":
                raise TypeError(
                    f"a tensor of {leaf.dtype} has no gradient; cast it to float32 before "
                    "watching it"
                )
        for leaf in watched:
            self._watch(leaf)

    def gradient(
        self,
        target: Structure,
        sources: Structure,
        output_gradients: Structure | None = None,
        unconnected_gradients: Literal["none", "zero"] = "none",
    ) -> Structure:
        """The gradient of the sum of `target` with respect to each of `sources`.

        Parameters
        ----------
        target : tensor, or tensors in nested lists
            What was computed, of floats; several targets are added up.
        sources : variable, watched tensor, or a nested structure of them
        output_gradients : tensor of the shape of `target`, or one for each in nested lists
            Weights of the target's elements in the sum, by default ones.
        unconnected_gradients : "none" or "zero", default "none"
            What a source gets that the target does not depend on: None, or zeros.

        Returns
        -------
        Tensor or None, in the structure of `sources`

        Raises
        ------
        RuntimeError
            On the second call, unless the tape is persistent.
        TypeError
            If a target or a source is not a tensor.
        ValueError
            If `output_gradients` are not as many as the targets, or not of their shapes, or
            `unconnected_gradients` is neither.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                f'unconnected_gradients must be "none" or "zero", not {unconnected_gradients!r}'
            )
        asked = leaves(sources)
        self._check(leaves(target), asked)
        gradients = self._seeds(target, output_gradients)
        keys = list(map(gradient_key, asked))
        followed = {key: None for key, x in zip(keys, asked, strict=True) if self._has_gradient(x)}
        gradients = walk_back(self._take(), gradients, list(followed))
        if unconnected_gradients == "zero":
            gradients = {key: zeros_like(x) for key, x in zip(keys, asked, strict=True)} | gradients
        return filled(sources, map(gradients.get, keys))

    def _has_gradient(self, x: Tensor) -> bool:
        """Whether a source is of floats, and one that this tape was to follow."""
        if x.dtype.kind != "f":
            warn(f"a source of {x.dtype} has no gradient: make it of floats, as in Variable(3.0)")
            return False
        return self.follows_variable(x) if isinstance(x, Variable) else self.follows(x)

    def _check(self, targets: list[Any], sources: list[Any]) -> None:
        if self._used and not self._persistent:
            raise RuntimeError(
                "this tape has given its gradient already and freed what it recorded; use "
                "GradientTape(persistent=True) to call gradient more than once"
            )
        for leaf in targets:
            if not isinstance(leaf, Tensor):
                raise TypeError(
                    f"a target must be a Tensor, got {type(leaf).__name__}; compute it with ops of "
                    "fastnn, inside the with block"
                )
        for leaf in sources:
            if not isinstance(leaf, Tensor):
                raise TypeError(
                    f"a source must be a Variable or a Tensor, got {type(leaf).__name__}; compute "
                    "with constant(...) and watch it"
                )

    @staticmethod
    def _seeds(target: Structure, output_gradients: Structure | None) -> dict[int, Tensor]:
        gradients: dict[int, Tensor] = {}
        for y, weights in _pairs(target, output_gradients):
            if y.dtype.kind != "f":
                warn(f"a target of {y.dtype} has no gradient: compute it in floats")
            seed = ones_like(y) if weights is None else unshared(convert(weights, y.dtype))
            if seed.shape != y.shape:
                raise ValueError(
                    f"output_gradients has shape {seed.shape} and the target {y.shape}; they must "
                    "be equal"
                )
            accumulate(gradients, gradient_key(y), seed)
        return gradients
