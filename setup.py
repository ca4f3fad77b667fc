"""Builds gradplan._core: the extension, and csrc/isa.c once for each ISA level.

GRADPLAN_BUILD=debug     compiles in a third of the time, and a debugger sees everything
GRADPLAN_BUILD=hostile   tiny tiles, and the arena filled with NaN before every run
GRADPLAN_BUILD=sanitize  AddressSanitizer and UndefinedBehaviorSanitizer
"""

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from glob import glob

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = {
    "release": ["-O3", "-g0"],
    "debug": ["-O1", "-g"],
    "hostile": [
        "-O3",
        "-DGP_TILE=7",
        "-DGP_SMALL_TILE=5",
        "-DGP_PANEL=1024",
        "-DGP_PANEL_ROWS=5",
        "-DGP_PARALLEL=16",
        "-DGP_WAKE_NS=0",
        "-DGP_TRIALS=0",
        "-DGP_POISON=1",
    ],
    "sanitize": [
        "-O1",
        "-g",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined,float-cast-overflow",
    ],
}
# What gains nothing from wider vectors is compiled once; its kernels are listed in kernels.h.
ONCE = [
    "csrc/run.c",
    "csrc/place.c",
    "csrc/loop.c",
    "csrc/pool.c",
    "csrc/dispatch.c",
    "csrc/control.c",
    "csrc/arrays.c",
    "csrc/index.c",
    "csrc/sets.c",
    "csrc/lapack.c",
    "csrc/sparse_move.c",
    "csrc/draws.c",
    "csrc/sampler.c",
    "csrc/crop.c",
    "csrc/special.c",
]
# Contraction is off so that fusing operations never changes a bit; vmath.h asks for FMA itself.
COMMON = [
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-fvisibility=hidden",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
]
LEVELS = {"baseline": []}
if platform.machine() in ("x86_64", "AMD64"):
    LEVELS["v3"] = ["-march=x86-64-v3"]
    LEVELS["v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]

BUILD = os.environ.get("GRADPLAN_BUILD") or "release"
if BUILD not in FLAGS:
    raise SystemExit(f"GRADPLAN_BUILD={BUILD}: choose from {', '.join(FLAGS)}")
HEADERS = [f"csrc/{name}" for name in sorted(os.listdir("csrc")) if name != "isa.c"]


class BuildLevels(build_ext):
    """Compiles isa.c once a level and links the objects in."""

    def build_extension(self, ext):
        def compile_level(level):
            return self.compiler.compile(
                ["csrc/isa.c"],
                output_dir=os.path.join(self.build_temp, BUILD, level),
                macros=[("GP_ISA", level)],
                extra_postargs=COMMON + FLAGS[BUILD] + LEVELS[level],
                depends=HEADERS,
            )

        with ThreadPoolExecutor() as pool:
            for objects in pool.map(compile_level, LEVELS):
                ext.extra_objects += objects
        super().build_extension(ext)


setup(
    ext_modules=[
        Extension(
            "gradplan._core",
            ["pyx/_core.pyx", *ONCE],
            include_dirs=["csrc", numpy.get_include()],
            define_macros=[
                ("GP_BUILD", f'"{BUILD}"'),
                ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
            ],
            depends=[*HEADERS, "pyx/plan.pxd", *sorted(glob("pyx/*.pxi"))],
            extra_compile_args=COMMON + FLAGS[BUILD],
            extra_link_args=["-pthread"]
            + [flag for flag in FLAGS[BUILD] if flag.startswith("-fsanitize")],
        )
    ],
    cmdclass={"build_ext": BuildLevels},
)
