"""The kernels under the limits of the machine, as a picture."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from limits import Limits
from ratios import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS, MARKERS = 10, "os^Dv"


def draw(path: str | os.PathLike[str], lines: Sequence[Line], limits: Limits) -> None:
    """Write to `path`, for each dtype, operations per byte against operations in a second.

    The slanted roofs are the levels of memory, the flat one the multiply-adds. A kernel has one
    colour and marker; its sizes are dots in a column, those of a product lie apart.
    """
    from matplotlib.figure import Figure

    dots = [line for line in lines if line.limit]
    figure = Figure(figsize=(16, 7.5), layout="constrained")
    panels = figure.subplots(1, len(limits.peak), sharex=True, sharey=True)
    for axes, dtype in zip(panels, limits.peak, strict=True):
        axes.set(xscale="log", yscale="log", title=dtype, xlabel="operations per byte")
        axes.grid(alpha=0.2)
        draw_dots(axes, dots, dtype)
        draw_roofs(axes, limits, dtype, [intensity(line) for line in dots])
    panels[0].set_ylabel("GFLOP/s")
    figure.suptitle(f"fastnn's kernels and the limits of this machine, threads: {limits.threads}")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False)
    figure.savefig(path, dpi=110)


def intensity(line: Line) -> float:
    return line.work.operations / line.work.bytes


def draw_dots(axes: "Axes", dots: Sequence[Line], dtype: str) -> None:
    for at, op in enumerate(dict.fromkeys(line.group.op for line in dots)):
        those = [line for line in dots if line.group[::2] == (op, dtype)]
        axes.plot(
            [intensity(line) for line in those],
            [line.work.operations / line.seconds["fastnn"] / 1e9 for line in those],
            MARKERS[at // COLOURS % len(MARKERS)],
            color=f"C{at % COLOURS}",
            label=op,
            alpha=0.8,
        )


def draw_roofs(axes: "Axes", limits: Limits, dtype: str, intensities: Sequence[float]) -> None:
    peak, left, right = limits.peak[dtype] / 1e9, min(intensities) / 1.5, max(intensities) * 1.5
    style: dict[str, Any] = {"color": "0.4", "linewidth": 1, "zorder": 1}
    bandwidths = {level.name: level.bandwidth / 1e9 for level in limits.levels}
    axes.plot([peak / max(bandwidths.values()), right], [peak, peak], **style)
    axes.text(right, peak * 1.1, f"FMA {peak:.0f} GFLOP/s", color="0.4", ha="right")
    for name, bandwidth in bandwidths.items():
        ends = np.array([left, peak / bandwidth])
        axes.plot(ends, bandwidth * ends, **style)
        axes.text(
            left,
            bandwidth * left * 1.06,
            f"{name} {bandwidth:.0f} GB/s",
            color="0.4",
            rotation=np.degrees(np.arctan(bandwidth)),
            rotation_mode="anchor",
            transform_rotates_text=True,
        )
