"""What the extension module (pyx/_core.pyx) offers, for type checkers."""

from collections.abc import Callable as Function
from collections.abc import Sequence
from typing import Any

import numpy as np

BUILD: str
MAX_ARGS: int
MAX_RANK: int
MAX_TEMPS: int
SUM_BLOCK: int
MAX_SUMS: int
SMALL_DEPTH: int
SMALL_TILE: int

def check_layout(buf_dtype: np.dtype, insn_dtype: np.dtype) -> None: ...
def isa() -> str: ...
def isa_levels() -> tuple[str, ...]: ...
def kernels() -> dict[str, int]: ...
def load_blas() -> None: ...
def load_lapack() -> None: ...
def place(
    nbytes: Sequence[int], first: Sequence[int], last: Sequence[int]
) -> tuple[list[int], int]: ...
def tile_ops() -> dict[str, int]: ...
def use_isa(name: str) -> str: ...

class State:
    arena_bytes: int
    closed: bool
    nbytes: int
    nvars: int
    def close(self) -> None: ...
    def get_flag(self, variable: int) -> bool: ...
    def grow(self, nbytes: int, nvars: int) -> None: ...
    def read(self, offset: int, nbytes: int) -> np.ndarray: ...
    def set_flag(self, variable: int, value: bool = True) -> None: ...
    def write(self, offset: int, values: np.ndarray) -> None: ...
    def write_all(self, parts: list[tuple[int, int, np.ndarray]]) -> None: ...

class Executable:
    isa: str
    weight: int
    source: Any
    def __init__(self, state: State, *plan: Any) -> None: ...
    def loop(
        self,
        arrays: tuple[np.ndarray, ...],
        gathered: tuple[bool, ...],
        order: np.ndarray | None,
        batch: int,
        steps: int,
        every_seconds: float,
        callback: Function[[int], Any] | None,
    ) -> tuple[list[np.ndarray], int]: ...
    def run(self, args: tuple[Any, ...]) -> list[Any]: ...

class Callable:
    executable: Executable | None
    def __init__(
        self, bind: Function[..., Any], pack: Any, n_feeds: int, state: State | None = None
    ) -> None: ...
    def __call__(self, *args: Any) -> Any: ...
    def reset(self) -> None: ...

class Plans:
    last: Executable | None
    def __init__(
        self,
        bind: Function[[tuple[Any, ...]], Executable],
        valued: Sequence[int],
        room: int,
    ) -> None: ...
    def __len__(self) -> int: ...
    def find(self, args: tuple[Any, ...]) -> Executable: ...

class Link: ...

class Call(Link):
    def __init__(self, takes: Sequence[int], gives: Sequence[int], plans: Plans) -> None: ...

class Host(Link):
    def __init__(
        self,
        takes: Sequence[int],
        gives: Sequence[int],
        function: Function[[list[Any]], list[Any]],
    ) -> None: ...

class Chain:
    def __init__(self, n_args: int, rest: Sequence[Any], links: Sequence[Link]) -> None: ...
    def bind(self, args: Sequence[Any]) -> tuple[Executable, tuple[Any, ...]]: ...

class Body:
    def __init__(self, chain: Chain, chosen: Sequence[int]) -> None: ...

class If(Link):
    def __init__(self, takes: Sequence[int], gives: Sequence[int], yes: Body, no: Body) -> None: ...

class Loop(Link):
    trip: int

class While(Loop):
    def __init__(
        self,
        takes: Sequence[int],
        gives: Sequence[int],
        body: Body,
        n_carried: int,
        kept: Sequence[bool],
        stack: Function[[int, list[Any]], Any],
        start: Function[[list[Any]], list[Any]] | None,
        condition: Body,
        most: int,
    ) -> None: ...

class Scan(Loop):
    def __init__(
        self,
        takes: Sequence[int],
        gives: Sequence[int],
        body: Body,
        n_carried: int,
        kept: Sequence[bool],
        stack: Function[[int, list[Any]], Any],
        start: Function[[list[Any]], list[Any]] | None,
        n_stacks: int,
        reverse: bool,
    ) -> None: ...
