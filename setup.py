"""Builds the native module; everything that can be declared stands in pyproject.toml."""

from __future__ import annotations

import os
from glob import glob

from setuptools import Extension, setup

compile_args = [
    "-std=c++20",
    "-O2",
    "-g0",
    "-Wall",
    "-Wextra",
    # No -ftls-model: with initial-exec for those of libstdc++ the module cannot be loaded after
    # libraries, such as torch, that took their room. The two of the hot path ask for it themselves.
    "-fvisibility=hidden",
]
link_args: list[str] = []

# Warnings stop our own builds (the Makefile asks for it), never an install with a newer compiler.
if os.environ.get("WHENCE_WERROR") == "1":
    compile_args.append("-Werror")

# WHENCE_SANITIZE=address,undefined is for a Python started with the sanitizer's library preloaded.
if sanitizers := os.environ.get("WHENCE_SANITIZE"):
    compile_args += [f"-fsanitize={sanitizers}", "-fno-omit-frame-pointer", "-g", "-O1"]
    link_args.append(f"-fsanitize={sanitizers}")

setup(
    ext_modules=[
        Extension(
            "whence._native",
            sources=sorted(glob("native/python/*.cpp")),
            depends=["setup.py", *sorted(glob("native/**/*.hpp", recursive=True))],
            include_dirs=["native", "native/vendor"],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            language="c++",
        )
    ]
)
