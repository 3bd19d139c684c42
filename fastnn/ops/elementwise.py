"""Elementwise ops with NumPy's broadcasting, and their gradients."""

from __future__ import annotations

import numpy as np

from fastnn import _kernels
from fastnn._kernels import Call
from fastnn.arrays import COMPUTED_IN, Array, DType, to_dtype
from fastnn.ops.core import (
    Gradients,
    broadcast,
    check_broadcast,
    computable,
    floating,
    not_bools,
    operator,
    primitive,
)
from fastnn.ops.creation import ones_like, zeros_like
from fastnn.ops.discrete import equal, floor_divide, greater, greater_equal, less_equal, sign
from fastnn.ops.reductions import sum_to
from fastnn.tensor import SigmoidOf, Tensor, TensorLike, convert, unshared


def _kernel_adds(a: Array, b: Array) -> bool:
    """Whether b is added to whole rows of a, long enough for the kernel to be the faster."""
    shape, rows = a.shape, b.shape
    return a.dtype in COMPUTED_IN and len(rows) > 0 and shape[-len(rows) :] == rows and b.size > 7


@primitive(chain="add")
def _add(a: Array, b: Array) -> Array:
    if _kernel_adds(a, b):
        return _kernels.add(a, b)
    if _kernel_adds(b, a):
        return _kernels.add(b, a)
    return np.add(a, b)


@_add.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    a, b = call.inputs
    return sum_to(dy, a.shape), lambda: sum_to(dy, b.shape)


@operator
def add(a: TensorLike, b: TensorLike) -> Tensor:
    """a + b, elementwise, with broadcasting.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.add([[1.0, 2.0], [3.0, 4.0]], [10.0, 20.0]).numpy()
    array([[11., 22.],
           [13., 24.]], dtype=float32)
    """
    return _add(*broadcast("add", a, b))


_subtract = primitive(chain="subtract")(np.subtract)


@_subtract.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    a, b = call.inputs
    return sum_to(dy, a.shape), lambda: sum_to(negative(dy), b.shape)


@operator
def subtract(a: TensorLike, b: TensorLike) -> Tensor:
    """a - b, elementwise, with broadcasting; TypeError if both are bools."""
    x, y = broadcast("subtract", a, b)
    if x._array.dtype.kind == "b":  # asked first: a call takes a fifth of a small op's time
        not_bools("subtract", x)
    return _subtract(x, y)


_multiply = primitive(chain="multiply")(np.multiply)


@_multiply.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    a, b = call.inputs
    return lambda: sum_to(dy * b, a.shape), lambda: sum_to(dy * a, b.shape)


@operator
def multiply(a: TensorLike, b: TensorLike) -> Tensor:
    """a * b, elementwise, with broadcasting."""
    return _multiply(*broadcast("multiply", a, b))


@primitive(chain="divide")
def _divide(a: Array, b: Array) -> Array:
    return np.divide(a, b)


@_divide.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    a, b = call.inputs
    return lambda: sum_to(dy / b, a.shape), lambda: sum_to(negative(dy) * call.output / b, b.shape)


@operator
def divide(a: TensorLike, b: TensorLike) -> Tensor:
    """a / b, elementwise, with broadcasting; integers give float32."""
    x, y = broadcast("divide", a, b)
    return _divide(floating(x), floating(y))


@primitive
@np.errstate(all="ignore")
def _mod(a: Array, b: Array) -> Array:
    return np.mod(a, b)


@_mod.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    a, b = call.inputs
    return sum_to(dy, a.shape), lambda: sum_to(negative(dy) * floor_divide(a, b), b.shape)


@operator
def mod(a: TensorLike, b: TensorLike) -> Tensor:
    """a - b * floor(a / b), which has the sign of b, with broadcasting."""
    return _mod(*broadcast("mod", a, b))


@primitive
def _pow(a: Array, b: Array) -> Array:
    with np.errstate(all="ignore"):
        result: Array = np.power(_forwards(a), _forwards(b))
    return result


def _forwards(x: Array) -> Array:
    """x in order: NumPy raises to other bits what lies backwards, as even one element may do."""
    return x.copy() if min(x.strides, default=0) < 0 else np.asarray(x, order="C")


@_pow.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    a, b = call.inputs

    def da() -> Tensor:
        # Where b is 0 so is the derivative, even if a ** (b - 1) is infinite.
        constant = equal(b, 0)
        slope = where(constant, zeros_like(b), b) * pow(a, where(constant, ones_like(b), b - 1))
        return sum_to(dy * slope, a.shape)

    def db() -> Tensor:
        # Where the logarithm has no value the derivative is taken as 0.
        logarithm = log(where(greater(a, 0), a, ones_like(a)))
        return sum_to(dy * call.output * logarithm, b.shape)

    return da, db


@operator
def pow(a: TensorLike, b: TensorLike) -> Tensor:  # the field's word, and no built-in is used here
    """a to the power b, elementwise, with broadcasting."""
    x, y = broadcast("pow", a, b)
    # As NumPy's operator does; the square has a kernel.
    return square(x) if isinstance(b, int | float) and b == 2 else _pow(x, y)


def _of_the_chosen(first: Tensor, a: Tensor, b: Tensor, dy: Tensor) -> Gradients:
    """The gradients of a and b where `first` tells which of them is the result: 0 where it is the
    other one, even if dy is infinite there.
    """
    nothing = zeros_like(dy)
    return (
        lambda: sum_to(where(first, dy, nothing), a.shape),
        lambda: sum_to(where(first, nothing, dy), b.shape),
    )


_maximum = primitive(chain="maximum")(np.maximum)


@_maximum.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    a, b = call.inputs
    return _of_the_chosen(greater_equal(a, b), a, b, dy)


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger of a and b, NaN if either is; where they are equal the gradient goes to a."""
    return _maximum(*broadcast("maximum", a, b))


_minimum = primitive(chain="minimum")(np.minimum)


@_minimum.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    a, b = call.inputs
    return _of_the_chosen(less_equal(a, b), a, b, dy)


def minimum(a: TensorLike, b: TensorLike) -> Tensor:
    """The smaller of a and b, NaN if either is; where they are equal the gradient goes to a."""
    return _minimum(*broadcast("minimum", a, b))


_where = primitive(chain="where")(np.where)


@_where.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    condition, a, b = call.inputs
    return None, *_of_the_chosen(condition, a, b, dy)


def where(condition: TensorLike, a: TensorLike, b: TensorLike) -> Tensor:
    """Elements of a where `condition` holds, else of b, with broadcasting."""
    x, y = broadcast("where", a, b)
    test = convert(condition, np.bool_)
    for shape in (x.shape, y.shape):
        check_broadcast("where", test.shape, shape)
    return _where(test, x, y)


_negative = primitive(chain="negative")(np.negative)


@_negative.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return (negative(dy),)


@operator
def negative(x: TensorLike) -> Tensor:
    """-x; TypeError for bools."""
    return _negative(not_bools("negative", computable(x)))


@primitive(chain="abs")
def _abs(x: Array) -> Array:
    return np.abs(x)


@_abs.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (dy * sign(x),)


@operator
def abs(x: TensorLike) -> Tensor:
    """The absolute value; its gradient at 0 is 0."""
    return _abs(computable(x))


_square = primitive(chain="square")(np.square)


@_square.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (dy * (2 * x),)


def square(x: TensorLike) -> Tensor:
    """x * x.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.square(3.0)
    Tensor(9.0, shape=(), dtype=float32)
    """
    return _square(computable(x))


@primitive(chain="sqrt")
def _sqrt(x: Array) -> Array:
    return np.sqrt(x)


@_sqrt.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return (dy / (2 * call.output),)


def sqrt(x: TensorLike) -> Tensor:
    """The square root, NaN below 0."""
    return _sqrt(floating(x))


_exp = primitive(chain="exp")(_kernels.exp)


@_exp.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return (dy * call.output,)


def exp(x: TensorLike) -> Tensor:
    """e to the power x."""
    return _exp(floating(x))


_log = primitive(chain="log")(_kernels.log)


@_log.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (dy / x,)


def log(x: TensorLike) -> Tensor:
    """The natural logarithm: -inf at 0, NaN below."""
    return _log(floating(x))


_sin = primitive(np.sin)


@_sin.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (dy * cos(x),)


def sin(x: TensorLike) -> Tensor:
    """The sine of x, in radians."""
    return _sin(floating(x))


_cos = primitive(np.cos)


@_cos.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (negative(dy) * sin(x),)


def cos(x: TensorLike) -> Tensor:
    """The cosine of x, in radians."""
    return _cos(floating(x))


_tanh = primitive(chain="tanh")(_kernels.tanh)


@_tanh.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return (_tanh_grad(dy, call.output),)


_tanh_grad = primitive(chain="tanh_grad")(_kernels.tanh_grad)


@_tanh_grad.gradient
def _(call: Call, d: Tensor) -> Gradients:
    dy, y = call.inputs
    return lambda: _tanh_grad(d, y), lambda: d * dy * (-2 * y)


def tanh(x: TensorLike) -> Tensor:
    """The hyperbolic tangent."""
    return _tanh(floating(x))


_sigmoid = primitive(chain="sigmoid")(_kernels.sigmoid)


@_sigmoid.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return (_sigmoid_grad(dy, call.output),)


_sigmoid_grad = primitive(chain="sigmoid_grad")(_kernels.sigmoid_grad)


@_sigmoid_grad.gradient
def _(call: Call, d: Tensor) -> Gradients:
    dy, y = call.inputs
    return lambda: _sigmoid_grad(d, y), lambda: d * dy * (1 - 2 * y)


def sigmoid(x: TensorLike) -> Tensor:
    """1 / (1 + exp(-x))."""
    tensor = floating(x)
    y = _sigmoid(tensor)
    y.origin = SigmoidOf(unshared(tensor))
    return y


@primitive(chain="copy")
def copy(x: Array) -> Array:
    """The same values in memory of their own."""
    return x.copy()


@copy.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return (dy,)


@primitive(chain="copy")
def _stop_gradient(x: Array) -> Array:
    return x.view()


def stop_gradient(x: TensorLike) -> Tensor:
    """x as it is, through which no gradient flows.

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.Variable(3.0)
    >>> with fastnn.GradientTape() as tape:
    ...     y = x * fastnn.stop_gradient(x)
    >>> tape.gradient(y, x)
    Tensor(3.0, shape=(), dtype=float32)
    """
    return _stop_gradient(convert(x))


_FIRST_ROW = np.zeros(1, np.int64)  # the kernel that converts gathers rows


@primitive(kernel=True)
def _cast(x: Array, dtype: np.dtype[np.generic], out: Array | None = None) -> Array:
    if out is None:
        return x.astype(dtype)
    if dtype not in COMPUTED_IN:
        raise _kernels.NotRecorded(f"a conversion to {dtype}")
    return _kernels.gather(x.reshape(1, -1), _FIRST_ROW, out.reshape(1, -1))


@_cast.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    are_floats = x.dtype.kind == call.output.dtype.kind == "f"
    return (convert(dy, x.dtype) if are_floats else None,)


@operator
def cast(x: TensorLike, dtype: DType) -> Tensor:
    """x converted to `dtype`; the gradient is converted back, and ends at integers and bools."""
    tensor = convert(x)
    if tensor.dtype is dtype:  # the usual case, found quickly
        return unshared(tensor)
    target = to_dtype(dtype)
    return unshared(tensor) if tensor.dtype == target else _cast(tensor, dtype=target)


def clip(x: TensorLike, x_min: TensorLike, x_max: TensorLike) -> Tensor:
    """x, but at least `x_min` and at most `x_max`."""
    return minimum(maximum(x, x_min), x_max)


def rsqrt(x: TensorLike) -> Tensor:
    """1 / sqrt(x)."""
    return 1 / sqrt(x)


def reciprocal(x: TensorLike) -> Tensor:
    """1 / x."""
    return 1 / floating(x)
