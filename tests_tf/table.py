"""What a row of the tables of calls is."""

import ast
import inspect
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Call:
    """A call that both must answer alike.

    Attributes
    ----------
    text : str
        An expression, or statements that leave their result in ``out``.
    there : str, optional
        How TensorFlow 2's ``compat.v1`` spells it, where TensorFlow 1's name is gone.
    tol : float, optional
        Relative to the largest number compared. Default: 2e-5 in float32, 1e-10 in float64.
    values : bool
        False for random numbers: types, shapes and names alone.
    differs : dict of str to str
        Aspect (``value``, ``first``, ``second``, ``dtype``, ``shape``, ``name``, ``error``, or
        ``gradient``, the name of one) to the reason why gradplan's is another on purpose. It must
        differ, or else go from here.
    """

    text: str
    there: str = ""
    tol: float | None = None
    values: bool = True
    differs: dict = field(default_factory=dict)

    def __str__(self):
        return " ".join(self.text.split())

    @property
    def program(self):
        return statements(self.text)

    @property
    def other(self):
        return statements(self.there or self.text)


@dataclass(frozen=True)
class Bad(Call):
    """A call that both must refuse, by errors of one class, while the graph is built or run.

    Attributes
    ----------
    ours : str
        gradplan's class where it is another on purpose: one that sees earlier what is wrong.
    """

    ours: str = ""


def statements(text):
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return text
    return "out = " + text


def rows(kind, *items):
    """Rows of one kind, of which those without options are bare strings."""
    return [item if isinstance(item, Call) else kind(item) for item in items]


def names(text):
    """The public names that a program takes from ``tf``: ``{"nn.relu", "add"}``."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            parts, at = [], node
            while isinstance(at, ast.Attribute):
                parts.append(at.attr)
                at = at.value
            if isinstance(at, ast.Name) and at.id == "tf":
                found.add(".".join(reversed(parts)))
    return {n for n in found if not any(other.startswith(n + ".") for other in found)}


def has(module, name):
    """Whether a module has a name such as ``nn.relu``, and not for a module of its own."""
    for part in name.split("."):
        if not hasattr(module, part):
            return False
        module = getattr(module, part)
    return not inspect.ismodule(module)
