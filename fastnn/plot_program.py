"""A picture of a program: its instructions, and which hands values to which. Needs matplotlib."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastnn._kernels import Update
from fastnn.description import name_of
from fastnn.plot import new_figure, writable
from fastnn.program import Program
from fastnn.trace import Instruction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES = 0.28  # the height of an instruction


def plot_program(
    path: str | os.PathLike[str], program: Program, seconds: Sequence[float] | None = None
) -> None:
    """Draw the instructions from first to last, with an arc from each to those that use its result.

    Parameters
    ----------
    path : str or path
        The file to write, in the format that its suffix names.
    program : Program
        As `Function.program` gives it.
    seconds : list of float, optional
        The time of each instruction, as `Program.profiled` measures it: bars show it; by default
        they show the bytes read and written.

    Raises
    ------
    ImportError, OSError, ValueError
        As for `fastnn.plot.writable`. Nothing is written.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn.plot_program import plot_program
    >>> square = fastnn.function(lambda x: x * x)
    >>> plot_program("square.png", square.program(fastnn.ones((3,))))  # doctest: +SKIP
    """
    if not isinstance(program, Program):
        raise TypeError(
            f"plot_program takes a program, got {type(program).__name__}: of a compiled function "
            "pass f.program(arguments)"
        )
    file = writable(path)
    instructions = program.instructions
    figure = new_figure(9, 1 + INCHES * len(instructions))
    arcs, bars = figure.subplots(1, 2, sharey=True, width_ratios=(1, 2))
    _draw_bars(bars, instructions, seconds)
    _draw_arcs(arcs, instructions)
    bars.set_yticks(range(len(instructions)), [name_of(i) for i in instructions])
    bars.tick_params(labelleft=True)
    bars.invert_yaxis()
    figure.savefig(file, dpi=120)


def _draw_bars(
    axes: Axes, instructions: Sequence[Instruction], seconds: Sequence[float] | None
) -> None:
    places = range(len(instructions))
    if seconds is None:
        sizes = [i.nbytes / 1024 for i in instructions]
        axes.set_xlabel("KB read and written")
    else:
        sizes = [1e6 * s for s in seconds]
        axes.set_xlabel("microseconds")
    colors = ["tab:orange" if isinstance(i.op, Update) else "tab:blue" for i in instructions]
    axes.barh(places, sizes, color=colors)
    axes.set_title("blue: computes, orange: updates a variable", fontsize="small")


def _draw_arcs(axes: Axes, instructions: Sequence[Instruction]) -> None:
    from matplotlib.patches import Arc

    maker = {id(y): n for n, i in enumerate(instructions) for y in i.outputs}
    longest = 1
    for n, instruction in enumerate(instructions):
        for x in instruction.inputs:
            if id(x) in maker:
                length = n - maker[id(x)]
                longest = max(longest, length)
                middle = (n + maker[id(x)]) / 2
                axes.add_patch(Arc((0, middle), length, length, theta1=90, theta2=270))
    axes.set_xlim(-longest / 2 - 0.5, 0)
    axes.set_axis_off()
