"""How many processors a process may use: its affinity, and the quotas of its control groups."""

import os

import pytest

from fastnn import processors

V1, V2 = "4:memory:/a/b\n3:cpu,cpuacct:/a/b\n0::/\n", "0::/a/b\n"
QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"

# For 8 processors: the process's groups, the files of the groups, the answer.
TREES = {
    "no control groups": ("", {}, 8),
    "version 2, no limit": (V2, {"a/b/cpu.max": "max 100000"}, 8),
    "version 2": (V2, {"a/b/cpu.max": "300000 100000"}, 3),
    "a part of a processor": (V2, {"a/b/cpu.max": "150000 100000"}, 2),
    "less than one processor": (V2, {"a/b/cpu.max": "1000 100000"}, 1),
    "more than there are": (V2, {"a/b/cpu.max": "6400000 100000"}, 8),
    "an outer group": (V2, {"a/b/cpu.max": "max 100000", "a/cpu.max": "400000 200000"}, 2),
    "an inner group": (V2, {"a/b/cpu.max": "300000 100000", "a/cpu.max": "500000 100000"}, 3),
    "the root": (V2, {"cpu.max": "200000 100000"}, 2),
    "version 1": (V1, {f"cpu/a/b/{QUOTA}": "250000", f"cpu/a/b/{PERIOD}": "100000"}, 3),
    "version 1, no limit": (V1, {f"cpu/a/b/{QUOTA}": "-1", f"cpu/a/b/{PERIOD}": "100000"}, 8),
    "version 1, the root": (V1, {f"cpu/{QUOTA}": "100000", f"cpu/{PERIOD}": "50000"}, 2),
    "version 1, another controller": (V1, {"a/b/cpu.max": "100000 100000"}, 8),
}


@pytest.mark.parametrize(("groups", "files", "expected"), TREES.values(), ids=TREES.keys())
def test_the_smallest_limit_holds(groups, files, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    tree = {f"sys/fs/cgroup/{name}": f"{text}\n" for name, text in files.items()}
    for name, text in {"proc/self/cgroup": groups, **tree}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert processors.available(str(tmp_path)) == expected


def test_where_there_is_no_affinity_and_no_group(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert processors.available(str(tmp_path)) == 5
