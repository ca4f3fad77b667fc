"""``tf.flags``: the command line of a program, read when a flag is first asked for.

>>> import gradplan as gp
>>> gp.flags.DEFINE_integer("steps", 100, "How many steps to train.")
>>> gp.flags.DEFINE_boolean("verbose", False, "Whether to tell more.")
>>> gp.flags.FLAGS(["program", "--steps=20", "--verbose", "data.csv"])
['program', 'data.csv']
>>> gp.flags.FLAGS.steps, gp.flags.FLAGS.verbose
(20, True)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "DEFINE_bool",
    "DEFINE_boolean",
    "DEFINE_enum",
    "DEFINE_float",
    "DEFINE_integer",
    "DEFINE_list",
    "DEFINE_string",
    "FLAGS",
    "mark_flag_as_required",
]

_TRUTH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class _Flags:
    """The flags of the program, as attributes; the command line is read at the first access.

    Called with a command line it reads that one and returns what is no flag, the program's name
    first. Flags may be set, too.
    """

    def __init__(self) -> None:
        object.__setattr__(self, "_parser", argparse.ArgumentParser(allow_abbrev=False))
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_required", [])
        object.__setattr__(self, "_parsed", False)

    def _define(
        self, name: str, default: Any, help: str | None, convert: Any, choices: Any = None
    ) -> None:
        if name in self._values:
            raise ValueError(f"The flag '{name}' is defined twice.")
        text = (help or "").replace("%", "%%") + f" (default: {default})"
        options: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": text}
        if convert is _truth:
            self._parser.add_argument(f"--{name}", nargs="?", const=True, type=_truth, **options)
            options["help"] = argparse.SUPPRESS
            self._parser.add_argument(f"--no{name}", action="store_false", **options)
        else:
            self._parser.add_argument(f"--{name}", type=convert, choices=choices, **options)
        self._values[name] = default

    def __call__(self, argv: Sequence[str], known_only: bool = True) -> list[str]:
        # A single dash is as good as two, and what follows a switch is no value of it.
        words = list(argv[1:])
        for i, word in enumerate(words):
            if word == "--":
                break
            if word[:1] == "-" and word[1:2] != "-" and word[1:].split("=")[0] in self._values:
                word = words[i] = f"-{word}"
            if word[:2] == "--" and isinstance(self._values.get(word[2:]), bool):
                words[i] = f"{word}=true"
        found, rest = self._parser.parse_known_args(words)
        if rest and not known_only:
            self._parser.error(f"Unknown command line flag: {' '.join(rest)}")
        self._values.update(vars(found))
        object.__setattr__(self, "_parsed", True)
        for name in self._required:
            if self._values[name] is None:
                self._parser.error(f"flag --{name}=None: Flag --{name} must have a value")
        return [*argv[:1], *(w for w in rest if w != "--")]

    def _parse_flags(self) -> None:
        if not self._parsed:
            self(sys.argv)

    def __getattr__(self, name: str) -> Any:
        if name == "__flags":  # what programs of TensorFlow 1.4 and earlier go through
            return self.flag_values_dict()
        if name not in self._values:
            raise AttributeError(f"there is no flag {name!r}")
        self._parse_flags()
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._values:
            raise AttributeError(f"there is no flag {name!r}")
        self._parse_flags()
        self._values[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._values:
            raise AttributeError(f"there is no flag {name!r}")
        raise AttributeError(f"the flag {name!r} cannot be deleted")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Any:
        return iter(self._values)

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise KeyError(name)
        return argparse.Namespace(name=name, value=getattr(self, name))

    def __len__(self) -> int:
        return len(self._values)

    def flag_values_dict(self) -> dict[str, Any]:
        """The flags and their values."""
        self._parse_flags()
        return dict(self._values)


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise argparse.ArgumentTypeError(f"neither true nor false: {text!r}")
    return _TRUTH[text.lower()]


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


#: The program's own: there is one command line.
FLAGS = _Flags()


def _definer(convert: Any, kind: str) -> Callable[..., None]:
    def define(name: str, default: Any, help: str | None = None, **args: Any) -> None:
        if convert is _list and isinstance(default, str):
            default = _list(default)
        elif default is not None and convert in (int, float):
            default = convert(default)
        FLAGS._define(name, default, help, convert)

    define.__doc__ = f"""Define a flag that is {kind}; None is a default, too.

    Parameters
    ----------
    name : str
    default : optional
        The value where the command line says nothing.
    help : str, optional
        Shown by ``--help``.
    """
    return define


DEFINE_string = _definer(str, "a text")
DEFINE_integer = _definer(int, "an integer")
DEFINE_float = _definer(float, "a number")
DEFINE_list = _definer(_list, "a list of texts, between commas")
DEFINE_boolean = DEFINE_bool = _definer(_truth, "true or false: ``--x``, ``--nox``, ``--x=false``")


def DEFINE_enum(
    name: str, default: Any, enum_values: Sequence[str], help: str | None = None, **args: Any
) -> None:
    """Define a flag that is one of ``enum_values``.

    Parameters
    ----------
    name : str
    default : str or None
    enum_values : sequence of str
    help : str, optional

    Raises
    ------
    ValueError
        If the default is none of them.
    """
    if default is not None and default not in enum_values:
        raise ValueError(f"value should be one of <{'|'.join(enum_values)}>, not {default!r}")
    FLAGS._define(name, default, help, str, list(enum_values))


def mark_flag_as_required(name: str) -> None:
    """Refuse a command line that leaves the flag None."""
    if name not in FLAGS:
        raise AttributeError(f"there is no flag {name!r}")
    FLAGS._required.append(name)
