"""Writes ``docs/tf1_names.md`` from ``docs/tf1_names.csv`` and gradplan itself: ``make docs``."""

from __future__ import annotations

from pathlib import Path

from gradplan import port

PAGE = Path(__file__).parent / "tf1_names.md"
NAMES = PAGE.with_suffix(".csv")

INTRODUCTION = """\
# The names that programs use

Made by `make docs` from `tf1_names.csv` and from gradplan itself; not to be edited by hand.

The {n} names that most of 1164 programs for TensorFlow 1 use, which were counted in 48 public
repositories. **{supported}** are supported, {later} come later, {never} never will. By uses, a name
in a program being one, {share:.1%} are supported.

`python -m gradplan.port FILE.py` tells the same of a program, and `--coverage CSV` of another
survey. Programs change their import line alone: to `import gradplan as tf`, or to
`import gradplan.compat.v1 as tf` where they say `compat.v1` or ask for `tf.__version__`.

| name | programs | | why, or what to use meanwhile |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The text of the page."""
    rows = port.survey(NAMES)
    counts = {
        s: sum(r.finding.status == s for r in rows)
        for s in (port.SUPPORTED, port.LATER, port.NEVER)
    }
    head = INTRODUCTION.format(n=len(rows), share=port.share(rows), **counts)
    lines = [
        f"| `{r.name}` | {r.programs} | {r.finding.status} | {r.finding.advice} |" for r in rows
    ]
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
