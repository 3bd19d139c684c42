"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath


def available(root: str = "/") -> int:
    """The smaller of the processors that the process may run on and its control group's quota.

    Parameters
    ----------
    root : str, default "/"
        The folder that holds proc/ and sys/.

    Returns
    -------
    int
        At least 1; a quota of 1.5 processors counts as 2.
    """
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    return max(1, math.ceil(min(processors, _quota(Path(root)))))


def _quota(root: Path) -> float:
    """The control group's limit in processors, infinity if there is none.

    Of a group and all that it lies in the smallest limit holds. Version 2 of the interface states
    it as "quota period" or "max period" in one file, version 1 in two.
    """
    limit = math.inf
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        version_1 = "cpu" in controllers.split(",")
        if controllers and not version_1:
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if version_1 else "")
        for group in (PurePosixPath(path), *PurePosixPath(path).parents):
            folder = mount / str(group).lstrip("/")
            if version_1:
                text = f"{_read(folder / 'cpu.cfs_quota_us')} {_read(folder / 'cpu.cfs_period_us')}"
            else:
                text = _read(folder / "cpu.max")
            quota, _, period = text.partition(" ")
            if quota.isdigit() and period.isdigit():
                limit = min(limit, int(quota) / int(period))
    return limit


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
