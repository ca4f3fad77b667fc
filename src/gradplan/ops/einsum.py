"""Sums of products over named or numbered axes: transposes, one product of matrices, a reshape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import shapes
from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import graph_of
from gradplan.ops.array import expand_dims, reshape, shape, transpose
from gradplan.ops.constant import constant, convert_to_tensor, require_constant
from gradplan.ops.math import multiply
from gradplan.ops.matmul import matmul
from gradplan.ops.matrices import diagonal, equal_dims, merge_dims
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.slicing import concat

__all__ = ["einsum", "tensordot"]


def _sizes(tensors: Sequence[tuple[Tensor, Sequence[int]]]) -> Any:
    """The sizes of some axes of some tensors, in order: a list if they are known, else a tensor."""
    known: Any = [None if t._shape is None else t._shape[i] for t, axes in tensors for i in axes]
    if None not in known:
        return constant(known, "int64" if any(d > 2**31 - 1 for d in known) else "int32")
    parts = []
    for t, axes in tensors:
        whole = shape(t)
        parts += [whole[i : i + 1] for i in axes]
    return concat(parts, 0) if parts else constant([], "int32")


# ---- tensordot -----------------------------------------------------------------------------------


def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """Sum of products over pairs of axes of two tensors.

    Parameters
    ----------
    a, b : tensor_like
        Of one type.
    axes : int, or two lists of int
        A number n: the last n axes of ``a`` with the first n of ``b``, in order; 0 is the outer
        product. Two lists (or ints): those of ``a``, and those of ``b`` they are paired with.
    name : str, optional

    Returns
    -------
    Tensor
        The remaining axes of ``a``, then those of ``b``.

    Raises
    ------
    ValueError
        If axes are out of range or named twice, the lists differ in length, paired axes differ in
        size, or the rank of an operand is not known.

    Examples
    --------
    >>> import gradplan as gp
    >>> a, b = gp.ones([2, 3, 4]), gp.ones([4, 3, 5])
    >>> gp.tensordot(a, b, [[1, 2], [1, 0]]).shape.as_list()
    [2, 5]
    """
    graph = graph_of([a, b])
    with graph.as_default(), graph.name_scope(name or "Tensordot") as scope:
        a = convert_to_tensor(a, b.dtype if isinstance(b, Tensor) else None)
        b = convert_to_tensor(b, a.dtype)
        try:
            taken = _tensordot_axes(a, b, axes)
        except (ValueError, TypeError) as error:
            raise type(error)(at_user_line(f"tensordot: {error}")) from None
        free = [
            [i for i in range(len(t._shape)) if i not in mine]  # type: ignore[arg-type]
            for t, mine in zip((a, b), taken, strict=True)
        ]
        a = equal_dims(a, b, zip(*taken, strict=True))
        left = _as_matrix(a, free[0], taken[0])
        right = _as_matrix(b, taken[1], free[1])
        return reshape(matmul(left, right), _sizes([(a, free[0]), (b, free[1])]), name=scope)


def _as_matrix(x: Tensor, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
    """A matrix of these axes."""
    return _grouped(_in_order(x, [*rows, *columns]), 0, (len(rows), len(columns)))


def _in_order(x: Tensor, perm: Sequence[int]) -> Tensor:
    return x if list(perm) == list(range(len(perm))) else transpose(x, perm)


def _tensordot_axes(a: Tensor, b: Tensor, axes: Any) -> tuple[list[int], list[int]]:
    if a._shape is None or b._shape is None:
        raise ValueError(f"the rank of both tensors must be known, but they are {a} and {b}")
    ranks = len(a._shape), len(b._shape)
    if isinstance(axes, (list, tuple)):
        if len(axes) != 2:
            raise ValueError(f"axes must be a number or two lists, not {axes!r}")
        lists = [[int(i) for i in require_constant(x, "axes").ravel()] for x in axes]
    else:
        given = require_constant(axes, "axes")
        if given.ndim == 0:
            n = int(given)
            if not 0 <= n <= min(ranks):
                raise ValueError(f"{n} axes cannot be summed over for ranks {ranks[0]}, {ranks[1]}")
            return list(range(ranks[0] - n, ranks[0])), list(range(n))
        if len(given) != 2:
            raise ValueError(f"axes must be a number or two lists, not {given.tolist()}")
        lists = [[int(i) for i in x.ravel()] for x in given]
    if len(lists[0]) != len(lists[1]):
        raise ValueError(f"{lists[0]} and {lists[1]} are not equally many axes")
    out = []
    for mine, rank in zip(lists, ranks, strict=True):
        if any(not -rank <= i < rank for i in mine):
            raise ValueError(f"axes {mine} are not all in [{-rank}, {rank - 1}]")
        out.append([i % rank for i in mine])
        if len(set(out[-1])) != len(mine):
            raise ValueError(f"axes {mine} name a dimension twice")
    for i, j in zip(*out, strict=True):
        if shapes.merge((a._shape[i],), (b._shape[j],)) is False:
            raise ValueError(
                f"axis {i} of {shapes.text(a._shape)} and axis {j} of {shapes.text(b._shape)} "
                "differ in size"
            )
    return out[0], out[1]


# ---- einsum --------------------------------------------------------------------------------------


def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """Sum of products by names of axes: ``C[i, j] = sum_k A[i, k] B[k, j]`` is ``"ik,kj->ij"``.

    Parameters
    ----------
    equation : str
        A letter for each axis of each operand, then ``->`` and the axes of the result. What the
        result does not name is summed over. Without ``->`` the result has the letters that occur
        once, in the order of the alphabet. A letter twice in one operand is its diagonal. ``...``
        stands for axes that broadcast.
    *inputs : tensor_like
        Of one type.
    name : str, optional

    Raises
    ------
    ValueError
        If the equation cannot be read, an operand has another rank or there are more or fewer of
        them, sizes of one letter differ, or ``...`` meets an unknown rank.

    Notes
    -----
    Operands are multiplied from the left to the right, two at a time, by :func:`matmul`: letters of
    both and of what follows are its batch, letters of both alone are summed. The result has the
    name of the last step, as in TensorFlow 1: ``einsum/transpose_1:0`` below.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.einsum("ij,kj->ki", [[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]))
    array([[11.],
           [17.]], dtype=float32)
    """
    name = kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"einsum got unexpected arguments: {', '.join(sorted(kwargs))}")
    if not inputs:
        raise ValueError(at_user_line("einsum: there are no operands"))
    if not isinstance(equation, str):
        raise TypeError(at_user_line(f"einsum: the equation must be a string, not {equation!r}"))
    graph = graph_of(inputs)
    with graph.as_default(), graph.name_scope(name or "einsum"):
        common = next((x.dtype for x in inputs if isinstance(x, Tensor)), None)
        tensors = [convert_to_tensor(inputs[0], common)]
        tensors += [convert_to_tensor(x, tensors[0].dtype) for x in inputs[1:]]
        try:
            terms, result = _read(equation, tensors)
            _check_sizes(terms, tensors)
        except ValueError as error:
            raise ValueError(at_user_line(f"einsum {equation!r}: {error}")) from None
        tensors = [
            transpose(t, range(len(mine))) if t._shape is None else t  # it sees the rank
            for t, mine in zip(tensors, terms, strict=True)
        ]
        operands = [_with_diagonals(t, labels) for t, labels in zip(tensors, terms, strict=True)]
        x, labels = operands[0]
        for i, (y, more) in enumerate(operands[1:], 2):
            later = set(result).union(*[mine for _, mine in operands[i:]])
            x, labels = _product(x, labels, y, more, later)
        x, labels = _summed(x, labels, set(result))
        return _in_order(x, [labels.index(c) for c in result])


def _read(equation: str, tensors: Sequence[Tensor]) -> tuple[list[str], str]:
    """The labels of every operand and of the result; axes behind ``...`` get digits, from the last
    on."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(tensors):
        raise ValueError(f"it has {len(terms)} operands, but {len(tensors)} are given")
    longest = 0
    out = []
    for k, (term, t) in enumerate(zip(terms, tensors, strict=True)):
        plain = term.replace("...", "", 1)
        if not all(c.isascii() and c.isalpha() for c in plain):
            raise ValueError(f"{term!r} is more than letters and one '...'")
        rank = None if t._shape is None else len(t._shape)
        if plain == term:
            if rank is not None and rank != len(term):
                raise ValueError(f"{term!r} does not fit operand {k} of shape {t.shape}")
            out.append(term)
            continue
        if rank is None:
            raise ValueError(f"the rank of operand {k} must be known for '...'")
        hidden = rank - len(plain)
        if not 0 <= hidden <= 8:
            raise ValueError(f"{term!r} does not fit operand {k} of shape {t.shape}")
        longest = max(longest, hidden)
        out.append(term.replace("...", _hidden(hidden)))
    if arrow:
        plain = right.replace("...", "", 1)
        if not all(c.isascii() and c.isalpha() for c in plain):
            raise ValueError(f"{right!r} is more than letters and one '...'")
        if len(set(plain)) != len(plain):
            raise ValueError(f"the result {right!r} names an axis twice")
        unknown = set(plain) - set("".join(out))
        if unknown:
            raise ValueError(f"axis {min(unknown)!r} of the result is in no operand")
        return out, right.replace("...", _hidden(longest))
    joined = "".join(out)
    once = sorted(c for c in set(joined) if c.isalpha() and joined.count(c) == 1)
    return out, _hidden(longest) + "".join(once)


def _hidden(n: int) -> str:
    return "".join(str(i) for i in reversed(range(n)))


def _check_sizes(terms: Sequence[str], tensors: Sequence[Tensor]) -> None:
    size: dict[str, int] = {}
    for term, t in zip(terms, tensors, strict=True):
        for label, d in zip(term, t._shape or (), strict=False):
            if d is None or label.isdigit() and d == 1:
                continue
            if size.setdefault(label, d) != d:
                raise ValueError(f"axis {label!r} has size {size[label]} and size {d}")


def _with_diagonals(x: Tensor, labels: str) -> tuple[Tensor, str]:
    """Every label once: of one that stands twice the diagonal is taken."""
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            i = labels.index(c)
            j = labels.index(c, i + 1)
            rest = [k for k in range(len(labels)) if k not in (i, j)]
            x = diagonal(transpose(x, [*rest, i, j]), square=True)
            labels = "".join(labels[k] for k in rest) + c
    return x, labels


def _summed(x: Tensor, labels: str, kept: set[str]) -> tuple[Tensor, str]:
    """Summed over the axes that nobody needs."""
    gone = [i for i, c in enumerate(labels) if c not in kept]
    if gone:
        x = reduce_sum(x, gone)
    return x, "".join(c for c in labels if c in kept)


def _product(x: Tensor, mine: str, y: Tensor, more: str, later: set[str]) -> tuple[Tensor, str]:
    """Two operands made one; ``later`` are the labels that are still needed."""
    x, mine = _summed(x, mine, later | set(more))
    y, more = _summed(y, more, later | set(mine))
    hidden = sorted({c for c in mine + more if c.isdigit()}, reverse=True)
    both = [c for c in mine if c in more and c.isalpha()]
    batch = [c for c in both if c in later]
    inner = [c for c in both if c not in later]
    rows = [c for c in mine if c.isalpha() and c not in more]
    columns = [c for c in more if c.isalpha() and c not in mine]
    x = equal_dims(x, y, [(mine.index(c), more.index(c)) for c in both])
    left = _laid_out(x, mine, hidden, batch + rows + inner)
    right = _laid_out(y, more, hidden, batch + inner + columns)
    shared = len(hidden) + len(batch)
    labels = "".join([*hidden, *batch, *rows, *columns])
    if not inner and not (rows and columns):
        for _ in columns:
            left = expand_dims(left, -1)
        for _ in rows:
            right = expand_dims(right, shared)
        return multiply(left, right), labels
    # an outer product is one of matrices too, whose gradient sums as it multiplies
    group, product = ("Reshape", "MatMul") if inner else ("ExpandDims", "Mul")
    left = _grouped(left, shared, (len(rows), len(inner)), group)
    right = _grouped(right, shared, (len(inner), len(columns)), group)
    if len(rows) == len(columns) == 1:
        return matmul(left, right, name=product), labels
    out = matmul(left, right)
    places = [(x, [mine.index(c) for c in batch + rows]), (y, [more.index(c) for c in columns])]
    sizes = _sizes(places)
    if hidden:
        sizes = concat([shape(out)[: len(hidden)], sizes], 0)
    return reshape(out, sizes, name="Reshape" if inner else product), labels


def _laid_out(x: Tensor, labels: str, hidden: Sequence[str], order: Sequence[str]) -> Tensor:
    """The hidden axes (of size 1 where the tensor lacks one), then the others in this order."""
    have = [c for c in hidden if c in labels]
    x = _in_order(x, [labels.index(c) for c in [*have, *order]])
    lack = [i for i, c in enumerate(hidden) if c not in labels]
    return expand_dims(x, lack) if lack else x


def _grouped(x: Tensor, kept: int, counts: tuple[int, int], name: str = "Reshape") -> Tensor:
    """Matrices, of the axes behind those that are kept."""
    return x if counts == (1, 1) else merge_dims(x, (*[1] * kept, *counts), name=name)
