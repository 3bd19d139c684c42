"""Builds the extension fastnn._kernels from csrc/ (everything else stands in pyproject.toml)."""

import os
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from typing import Any

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildExt(build_ext):
    """Compiles on all processors; leaves the extension in the source tree too, so that its root can
    import fastnn.
    """

    def build_extension(self, ext: Extension) -> None:
        compile_in_turn = self.compiler.compile

        def compile_at_once(sources: list[str], **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as processors:
                # They come sorted, and the last take longest.
                jobs = [processors.submit(compile_in_turn, [s], **options) for s in sources[::-1]]
            return [path for job in jobs for path in job.result()]

        self.compiler.compile = compile_at_once
        super().build_extension(ext)

    def run(self) -> None:
        super().run()
        if not self.inplace:
            self.copy_extensions_to_source()


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=[
        Extension(
            "fastnn._kernels",
            # By name: an editable build leaves the generated csrc/_kernels.c beside them.
            sources=[
                "csrc/_kernels.pyx",
                "csrc/cut.c",
                "csrc/dispatch.c",
                "csrc/pool.c",
                "csrc/program.c",
                *sorted(glob("csrc/isa_*.c")),
            ],
            depends=[*sorted(glob("csrc/*.h")), *sorted(glob("csrc/*.pxi"))],
            include_dirs=["csrc", numpy.get_include()],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            # Levels must round alike, so the compiler may not fuse a multiply and an add by itself.
            # Nothing here reads errno or the floating-point flags, and promising so lets loops with
            # square roots and comparisons become vector code. No -ffast-math: NaN and infinity
            # count.
            extra_compile_args=[
                "-std=c11",
                "-pthread",
                # A build with sanitizers takes minutes longer at the usual level.
                os.environ.get("FASTNN_OPTIMIZATION", "-O3"),
                "-g0",
                "-Wall",
                "-Wextra",
                "-ffp-contract=off",
                "-fno-math-errno",
                "-fno-trapping-math",
            ],
            extra_link_args=["-pthread"],
        )
    ],
)
