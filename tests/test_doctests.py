"""Every example in every docstring of the installed package."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import gradplan

NAMES = ["gradplan"] + [
    module.name
    for module in pkgutil.walk_packages(gradplan.__path__, "gradplan.")
    if not module.name.endswith("__main__")
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", NAMES)
def test_doctests(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    problems: list[str] = []
    for test in doctest.DocTestFinder().find(module, name):
        gradplan.reset_default_graph()  # each example names its operations from the start
        runner.run(test, out=problems.append)
    assert not problems, "".join(problems)


def test_there_are_some():
    modules = map(importlib.import_module, NAMES)
    tests = [t for m in modules for t in doctest.DocTestFinder().find(m) if t.examples]
    assert len(tests) > 10
