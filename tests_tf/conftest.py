"""TensorFlow as the second oracle: a child process that answers what each program gives there.

Run by ``make test-tf``. The Python that has TensorFlow is ``GRADPLAN_TF_PYTHON``, by default that
of ``benchmarks/.peers/tensorflow``.
"""

import os
import pickle
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

HERE = Path(__file__).resolve().parent
PYTHON = os.environ.get(
    "GRADPLAN_TF_PYTHON", str(HERE.parent / "benchmarks/.peers/tensorflow/bin/python")
)

# The same programs every time unless asked otherwise, as in tests/conftest.py.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
)
settings.register_profile("nightly", settings.get_profile("ci"), derandomize=False)
settings.load_profile(os.environ.get("GRADPLAN_PROFILE", "ci"))


class TensorFlow:
    """The child process, started anew where a call has killed it."""

    def __init__(self):
        self.process = None

    def start(self):
        if not Path(PYTHON).exists():
            pytest.exit(f"there is no {PYTHON}: `make test-tf` makes it", 2)
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [PYTHON, HERE / "worker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        try:
            self.version = pickle.load(self.process.stdout)
        except EOFError:
            self.errors.seek(0)
            words = self.errors.read().decode(errors="replace")[-400:]
            pytest.exit(f"TensorFlow does not start in {PYTHON}: {words}", 2)

    def ask(self, *request):
        if self.process is None:
            self.start()
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
            return pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError):
            self.process.wait()
            self.process = None
            return {"error": ("crash", "Abort", "TensorFlow's process ended")}

    def evaluate(self, text, arrays, known=True, orders=2, run=True):
        """See ``both.evaluate``."""
        return self.ask("evaluate", text, arrays, known, orders, run)

    def signature(self, name):
        return self.ask("signature", name)

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()


@pytest.fixture(scope="session")
def tensorflow():
    child = TensorFlow()
    child.start()
    yield child
    child.close()
