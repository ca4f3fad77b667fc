"""Writes ``docs/operations.md`` from the declarations: ``make docs``.

The page lists every public function that makes operations and every operation type there is, by the
module that declares it. Nothing here names an operation, so there is nothing to keep up to date.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import gradplan as gp
from gradplan import dtypes
from gradplan.opdef import REGISTRY, VIEW, OpDef

PAGE = Path(__file__).parent / "operations.md"

INTRODUCTION = """\
# Operations

Made by `make docs` from the declarations in `src/gradplan`; not to be edited by hand.

Names, argument order and defaults are those of TensorFlow 1. Each section is a module: first the
public functions, then the operation types that they make, which are the nodes of a graph. A
function without a type of its own is a composition of others.

- *Inputs and results*: `T` is one type, the same everywhere in a row, out of the set in the column
  *T*; `I` is int32 or int64; `any` is any type; `@key` is the type in that attribute; a star
  repeats.
- *Gradient*: **yes**; **zero**, for what is constant between its jumps or is meant to stop the
  flow; **-**, where the results are no floats or nothing flows in; **no**, where asking for one is
  an error.
- *Runs as*: `MAP` is elementwise, an opcode of the tile interpreter, which fuses with its
  neighbours; `REDUCE` and `CALL` are kernels in C; `VIEW` is another look at a buffer and costs
  nothing; `STATE` reads or writes what the session keeps; `HOST` calls back into Python. A
  kernel that is not named is chosen by the operation's `lower`, or there are several.
- *Cost*: flops for an element of the result, or for all of it where a formula stands.

| set of types | |
| --- | --- |
"""


def modules() -> list[ModuleType]:
    """Every module of the package but programs, in the order of their names."""
    found = pkgutil.walk_packages(gp.__path__, "gradplan.")
    return [importlib.import_module(m.name) for m in found if not m.name.endswith("__main__")]


def type_sets() -> dict[tuple[Any, ...], str]:
    """The sets of types that ``dtypes`` names: the types to the name in lower case."""
    return {
        tuple(value): name.lower()
        for name, value in reversed(vars(dtypes).items())
        if name.isupper() and isinstance(value, (tuple, list)) and value
        if all(isinstance(t, dtypes.DType) for t in value)
    }


def declarations() -> dict[str, Any]:
    """The decorated function of each operation type."""
    modules()
    return {name: opdef.function for name, opdef in REGISTRY.items()}


def public() -> dict[Any, list[str]]:
    """Functions and classes to the names by which they are public."""
    found: dict[Any, list[str]] = defaultdict(list)
    spaces = [("gp", gp)]
    for name, value in sorted(vars(gp).items()):
        if isinstance(value, ModuleType) and name not in ("errors", "ops", "train"):
            if name in gp.__all__ and value.__name__.startswith("gradplan."):
                spaces.append((f"gp.{name}", value))
    for prefix, space in spaces:
        names = space.__all__ if hasattr(space, "__all__") else vars(space)
        for name in sorted(names):
            value = getattr(space, name)
            value = getattr(value, "located", value)  # as it is declared
            if not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value)):
                found[value].append(f"{prefix}.{name}")
    return found


def summary(function: Any) -> str:
    """The first sentence of a docstring, as Markdown in a table."""
    text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?\.?([^`]*)`", r"`\1`", text.replace("``", "`"))
    sentence = re.match(r".*?[.;](?= |$)", text)
    return cell((sentence.group() if sentence else text).rstrip(".;:"))


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def signature(function: Any) -> str:
    """Parameters and defaults, without annotations."""
    parts, star = [], False
    for p in inspect.signature(function).parameters.values():
        name = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "") + p.name
        star = star or p.kind is p.VAR_POSITIONAL
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        parts.append(name if p.default is p.empty else f"{name}={value(p.default)}")
    return ", ".join(parts)


def value(default: Any) -> str:
    return getattr(default, "__name__", None) or re.sub(r" at 0x\w+", "", repr(default))


def gradient(opdef: OpDef) -> str:
    """What becomes of a derivative: see the introduction."""
    if opdef.gradient is None:
        words = [opdef.type_set if w == "T" else w for w in opdef.out_types]
        floats = any(
            any(t.is_floating for t in w) if isinstance(w, tuple) else "float" in w for w in words
        )
        return "no" if floats and opdef.in_types else "-"
    try:  # it touches its arguments unless it has nothing to say
        flows = opdef.gradient(None, *[None] * len(opdef.out_types))
    except (AttributeError, TypeError, ValueError):
        return "yes"
    flows = flows if isinstance(flows, (list, tuple)) else [flows]
    return "yes" if any(f is not None for f in flows) else "zero"


def cost(opdef: OpDef) -> str:
    if callable(opdef.flops):
        return cell((inspect.getdoc(opdef.flops) or "by its shapes").split("\n")[0].rstrip("."))
    return "0" if opdef.kind is VIEW else f"{opdef.flops:g}"


def row(opdef: OpDef, function: Any, names: list[str], sets: dict[tuple[Any, ...], str]) -> str:
    """One operation type."""
    inputs = [f"{n}: {w}" for n, w in zip(opdef.inputs, opdef.in_types, strict=False)]
    uses_t = any(w.rstrip("*") == "T" for w in opdef.in_types + opdef.out_types)
    types = " ".join(t.name for t in opdef.type_set)
    attrs = [f"{k}={value(v)}" for k, v in opdef.attrs.items()]
    return line(
        [
            f"`{opdef.name}`",
            f"`{', '.join(inputs)} -> {' '.join(opdef.out_types)}`".replace("` ->", "`->"),
            cell(f"`{', '.join(attrs)}`" if attrs else ""),
            sets.get(opdef.type_set, types) if uses_t else "",
            gradient(opdef),
            f"{opdef.kind.name}{f' `{opdef.kernel}`' if opdef.kernel else ''}",
            cost(opdef),
            f"`{names[0]}`" if names else summary(function),
        ]
    )


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def section(
    module: str,
    functions: list[tuple[list[str], Any]],
    types: list[tuple[OpDef, Any]],
    names: dict[Any, list[str]],
    sets: dict[tuple[Any, ...], str],
) -> list[str]:
    text = (inspect.getdoc(importlib.import_module(module)) or "").split("\n\n")[0]
    out = [f"## {title(module)}", "", text.replace("``", "`"), ""]
    if functions:
        out += ["| function | what it does | type |", "| --- | --- | --- |"]
        for called, function in functions:
            own = getattr(function, "opdef", None)
            text = f"`{called[0]}({signature(function)})`"
            if called[1:]:
                text += " also " + ", ".join(f"`{name}`" for name in called[1:])
            kind = f"`{own.name}`" if isinstance(own, OpDef) else ""
            out.append(line([cell(text), summary(function), kind]))
        out.append("")
    if types:
        header = (
            "type|inputs and results|attributes|T|gradient|runs as|cost|made by, or what it does"
        )
        out += [line(header.split("|")), line(["---"] * 8)]
        out += [row(opdef, f, names.get(f, []), sets) for opdef, f in types] + [""]
    return out


def title(module: str) -> str:
    return module.removeprefix("gradplan.")


def page() -> str:
    """The whole page."""
    sets, names, made = type_sets(), public(), declarations()
    types, functions = defaultdict(list), defaultdict(list)
    for name, function in sorted(made.items()):
        types[function.__module__].append((REGISTRY[name], function))
    for function, called in sorted(names.items(), key=lambda item: item[1]):
        home = function.__module__
        if home.startswith("gradplan.ops.") or home in types or home == "gradplan.gradients":
            functions[home].append((called, function))
    homes = sorted(set(types) | set(functions))
    out = [INTRODUCTION.rstrip("\n")]
    out += [line([n, " ".join(t.name for t in s)]) for s, n in sorted(sets.items(), key=len)]
    compositions = sum(not hasattr(f, "opdef") for fs in functions.values() for _, f in fs)
    out += ["", f"{len(REGISTRY)} operation types, {sum(map(len, functions.values()))} public "
            f"functions and classes, {compositions} of them compositions.", ""]  # fmt: skip
    for home in homes:
        anchor = title(home).replace(".", "").lower()
        out.append(f"- [{title(home)}](#{anchor}): {summary(importlib.import_module(home))}")
    out.append("")
    for home in homes:
        out += section(home, functions[home], types[home], names, sets)
    return "\n".join(out).rstrip("\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
