"""Child processes, as the parent sees them."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, environment
from benchmarks.systems import SYSTEMS

#: Seconds after which a child that does not answer is given up; compilers take their time.
PATIENCE = 240.0


class Skipped(Exception):
    """A system cannot be timed; the message says why."""


@cache
def interpreter(name: str, peers: Path) -> str:
    """The Python that can import a system: of its environment under ``peers``, or this one."""
    system = SYSTEMS[name]
    candidates = [sys.executable]
    if system.environment:
        candidates.insert(0, str(peers / system.environment / "bin" / "python"))
    find = "import sys, importlib.util as u; sys.exit(u.find_spec(sys.argv[1]) is None)"
    for python in candidates:
        if Path(python).exists():
            command = [python, "-c", find, system.package]
            if not subprocess.run(command, cwd=ROOT, env=environment(1)).returncode:
                return python
    raise Skipped(f"{system.package} is not installed")


class Child:
    """One system in a process of its own, asleep unless it is asked something.

    Raises
    ------
    Skipped
        From every method, if the system is missing, fails, dies or does not answer.
    """

    def __init__(self, name: str, threads: int, peers: Path) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [interpreter(name, peers), "-m", "benchmarks.child", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=environment(threads),
        )
        try:
            self.facts = self.ask(do="start")
        except Skipped:
            self.close()
            raise

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Skipped(self._last_words()) from None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        if not ready:
            raise Skipped(f"no answer within {PATIENCE:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise Skipped(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise Skipped(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self._process.wait(10)
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        return f"ended with code {code}: {lines[-1][:200] if lines else ''}"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


def run_program(module: str, *args: str, threads: int) -> dict[str, Any]:
    """Run one of the package's programs by itself; it prints one object as JSON."""
    command = [sys.executable, "-m", f"benchmarks.{module}", "--json", *args]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(threads), stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise Skipped(f"benchmarks.{module} ended with code {done.returncode}")
    return json.loads(done.stdout)
