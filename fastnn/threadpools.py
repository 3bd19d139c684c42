"""Lets threadpoolctl list and limit the threads of the kernels, whichever of the two comes first.

threadpoolctl knows only the libraries that were registered with it. fastnn does not import it to
register, which would cost everybody time, but waits until somebody else does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

import fastnn
from fastnn import _kernels


def watch() -> None:
    """Register with threadpoolctl now, if it is loaded, and whenever it is loaded from now on."""
    if "threadpoolctl" in sys.modules:
        register(sys.modules["threadpoolctl"])
    sys.meta_path.insert(0, _Watcher())


class _Watcher:
    """Finds threadpoolctl just as the path's own finder does, and registers after it has run.

    No subclass of importlib.abc.MetaPathFinder, whose module takes a tenth of fastnn's import.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "threadpoolctl":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                register(module)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]  # of one loader
        return spec


def register(threadpoolctl: ModuleType) -> None:
    """Add fastnn to the libraries that `threadpoolctl` knows, if it can be told (from 3.2 on)."""
    if not hasattr(threadpoolctl, "register"):
        return

    class Controller(threadpoolctl.LibController):  # type: ignore[misc, name-defined]  # a module given
        user_api = internal_api = "fastnn"
        filename_prefixes = ("_kernels",)
        # Another package's _kernels has no such function.
        check_symbols = ("fn_set_threads",)

        def get_num_threads(self) -> int:
            return _kernels.threads()

        def set_num_threads(self, num_threads: int) -> None:
            _kernels.set_threads(num_threads)

        def get_version(self) -> str:
            return fastnn.__version__

    threadpoolctl.register(Controller)
