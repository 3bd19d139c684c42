"""The package: public names, stub, docstrings, import, instruction sets from the environment."""

import ast
import doctest
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn import _kernels

MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if not m.name.endswith("_kernels")
)


@pytest.mark.parametrize("name", ["fastnn", *MODULES])
def test_docstrings(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert doctest.testmod(module).failed == 0


def test_public_names():
    assert len(set(fastnn.__all__)) == len(fastnn.__all__)
    for name in fastnn.__all__:
        thing = getattr(fastnn, name)
        assert thing is None or thing.__doc__, f"{name} has no docstring"


def test_the_stub_matches_the_module():
    """Names, parameters and defaults of `_kernels.pyi` are those of the compiled module."""
    stub = ast.parse((Path(fastnn.__file__).parent / "_kernels.pyi").read_text())
    declared = {node.name: node.args for node in stub.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name for node in stub.body if isinstance(node, ast.ClassDef)}
    tables = {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    actual = {name for name in vars(_kernels) if not name.startswith("_")}
    assert declared.keys() | classes | tables == actual - {"os", "np", "processors"}
    for name, args in declared.items():
        signature = getattr(_kernels, name).__doc__.splitlines()[0]
        parameters = [a.arg for a in args.args]
        optional = dict(zip(parameters[::-1], map(ast.unparse, args.defaults[::-1]), strict=False))
        expected = [f"{p}={optional[p]}" if p in optional else p for p in parameters]
        found = signature.removeprefix(f"{name}(").removesuffix(")")
        found = re.sub(r"\w+ (?=\w)", "", found)  # the types that Cython writes before names
        assert found == ", ".join(expected)


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        cwd=Path(fastnn.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", _kernels.isas())
def test_the_environment_forces_an_instruction_set(name):
    result = run("import fastnn; print(fastnn.isa())", FASTNN_ISA=name)
    assert result.stdout.strip() == name


def test_an_unknown_instruction_set_in_the_environment():
    result = run("import fastnn", FASTNN_ISA="nonsense")
    assert result.returncode
    assert "ValueError: instruction set 'nonsense' is not available here; choose one of base" in (
        result.stderr
    )


def test_an_empty_environment_variable_means_the_best():
    assert (
        run("import fastnn; print(fastnn.isa())", FASTNN_ISA="").stdout.strip()
        == (_kernels.isas()[-1])
    )


def test_import_starts_nothing_and_loads_little():
    code = (
        "import sys, threading, fastnn; print(threading.active_count(), "
        "[m for m in ('tqdm', 'pooch', 'matplotlib', 'urllib.request', 'subprocess') "
        "if m in sys.modules])"
    )
    assert run(code).stdout.strip() == "1 []"


def test_a_tree_without_the_extension_says_how_to_build_it(tmp_path):
    source = Path(fastnn.__file__).parent
    shutil.copytree(source, tmp_path / "fastnn", ignore=shutil.ignore_patterns("_kernels*"))
    # An editable install would find the extension elsewhere.
    code = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'ditable' not in repr(f)]"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}; import fastnn"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ImportError: fastnn's extension is not built in" in result.stderr
    assert "pip install -e ." in result.stderr
    assert str(tmp_path) in result.stderr
