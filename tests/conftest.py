"""Fixtures for every test: a default graph of its own, and hypothesis without a clock."""

import gc
import os
import signal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import engine

import gradplan as gp
from gradplan import _core

# The same examples every time unless asked otherwise: GRADPLAN_PROFILE=nightly draws new ones, and
# GRADPLAN_EXAMPLES says how many.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
settings.register_profile("nightly", settings.get_profile("ci"), derandomize=False)
# A failing graph is made smaller for half a minute, not for five.
engine.MAX_SHRINKING_SECONDS = 30
settings.load_profile(os.environ.get("GRADPLAN_PROFILE", "ci"))


@pytest.fixture(autouse=True, scope="session")
def heed_ctrl_c():
    """Ctrl-C raises KeyboardInterrupt even where a shell started the tests in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def no_collector():
    """No collection: hypothesis times each in a callback, and Python loses a Ctrl-C that comes
    there."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def fresh_graph():
    """A new default graph for every test."""
    gp.reset_default_graph()
    yield
    gp.reset_default_graph()


@pytest.fixture(params=_core.isa_levels())
def isa(request):
    """Each of the machine's ISA levels in turn, for the sessions made by the test."""
    previous = _core.use_isa(request.param)
    yield request.param
    _core.use_isa(previous)


@pytest.fixture
def unoptimised():
    """The configuration that runs a graph as it was written."""
    return gp.ConfigProto(optimize=False)
