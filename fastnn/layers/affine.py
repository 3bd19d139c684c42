"""gamma * x + beta: what normalizing layers learn."""

from __future__ import annotations

from typing import Any

from fastnn import constraints, initializers, ops, regularizers
from fastnn.arrays import Shape
from fastnn.constraints import Projection
from fastnn.initializers import Start
from fastnn.layers.shapes import ShapePreserving
from fastnn.regularizers import Penalty
from fastnn.tensor import Tensor
from fastnn.variable import Variable


class Affine(ShapePreserving):
    """Base of layers with a factor `gamma` if they `scale`, and an offset `beta` if they `center`.

    Parameters
    ----------
    center, scale : bool
    beta_initializer, gamma_initializer : str or callable
    beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint : optional
        str or callable.
    **options
        As for every `Layer`.
    """

    gamma: Variable | None
    beta: Variable | None

    def __init__(
        self,
        *,
        center: bool,
        scale: bool,
        beta_initializer: str | Start,
        gamma_initializer: str | Start,
        beta_regularizer: str | Penalty | None,
        gamma_regularizer: str | Penalty | None,
        beta_constraint: str | Projection | None,
        gamma_constraint: str | Projection | None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def _make_affine(self, shape: Shape) -> None:
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                name="gamma",
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                name="beta",
            )

    def _affine(self, x: Tensor, along: Shape) -> Tensor:
        """gamma * x + beta, both in the shape `along`, which x has but for axes of length 1."""
        if self.gamma is not None:
            x = x * ops.reshape(self.gamma, along)
        return x if self.beta is None else x + ops.reshape(self.beta, along)
