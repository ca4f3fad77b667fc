"""Losses over very many classes: candidate samplers, noise-contrastive estimation, sampled softmax.

Sources: M. Gutmann and A. Hyvärinen, *Noise-contrastive estimation*, AISTATS 2010; S. Jean et al.,
*On using very large target vocabulary for neural machine translation*, ACL 2015.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradplan import shapes
from gradplan.dtypes import float32, int64
from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import CALL, STATE, apply, graph_of, op
from gradplan.ops.array import (
    identity_n,
    ones_like,
    reshape,
    shape,
    stop_gradient,
    take_first,
    zeros_like,
)
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.linalg import matmul
from gradplan.ops.logic import equal
from gradplan.ops.math import log
from gradplan.ops.reduce import reduce_any, reduce_sum
from gradplan.ops.slicing import concat, where
from gradplan.ops.softmax import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
)
from gradplan.ops.streams import drawn, no_gradient, parameters

__all__ = [
    "all_candidate_sampler",
    "compute_accidental_hits",
    "fixed_unigram_candidate_sampler",
    "log_uniform_candidate_sampler",
    "nce_loss",
    "sampled_softmax_loss",
    "uniform_candidate_sampler",
]


class Candidates(NamedTuple):
    """What a sampler gives."""

    sampled_candidates: Tensor
    true_expected_count: Tensor
    sampled_expected_count: Tensor


def _sampler(name: str, kind: int, types: str = "int64 -> int64 float32 float32") -> Any:
    """Declare a sampler; ``kind`` is that of csrc/sampler.c."""

    def decorate(function: Any) -> Any:
        declared = op(name, STATE, types=types, flops=0, fallible=True)(function)
        declared.gradient(no_gradient)

        @declared.shape
        def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
            n, classes = attrs["num_sampled"], shapes.merge(in_shapes[0], (None, attrs["num_true"]))
            if classes is False:
                raise ValueError(
                    f"true_classes must be a matrix of {attrs['num_true']} columns, but is "
                    f"{shapes.text(in_shapes[0])}"
                )
            return [(n,), classes, (n,)]

        @declared.lower
        def _(binder: Any, op: Any) -> None:
            classes, *tables = (binder.contiguous(binder.view(t)) for t in parameters(op))
            outs = [binder.result(op, i) for i in range(3)]
            outs[1] = outs[1].reshaped((classes.size,))
            n, unique = op.attrs["num_sampled"], op.attrs["unique"]
            places = 1 << max(1, 2 * n - 1).bit_length() if unique else 1
            table = binder.scratch(op.name, int64, (places,))
            binder.emit(
                "candidate_sampler",
                [*outs, binder.random_state(op), table],
                [classes.reshaped((classes.size,)), *tables],
                (kind, op.attrs["range_max"], int(unique)),
            )

        return declared

    return decorate


@_sampler("UniformCandidateSampler", 0)
def _uniform(
    true_classes: Any,
    num_true: Any = 1,
    num_sampled: Any = 1,
    unique: Any = True,
    range_max: Any = 1,
    seed: Any = None,
    seed2: Any = None,
    name: str | None = None,
) -> Any:
    """See :func:`uniform_candidate_sampler`."""


@_sampler("LogUniformCandidateSampler", 1)
def _log_uniform(
    true_classes: Any,
    num_true: Any = 1,
    num_sampled: Any = 1,
    unique: Any = True,
    range_max: Any = 1,
    seed: Any = None,
    seed2: Any = None,
    name: str | None = None,
) -> Any:
    """See :func:`log_uniform_candidate_sampler`."""


@_sampler("FixedUnigramCandidateSampler", 2, "int64 float64 -> int64 float32 float32")
def _fixed_unigram(
    true_classes: Any,
    sums: Any,
    num_true: Any = 1,
    num_sampled: Any = 1,
    unique: Any = True,
    range_max: Any = 1,
    seed: Any = None,
    seed2: Any = None,
    name: str | None = None,
) -> Any:
    """See :func:`fixed_unigram_candidate_sampler`; ``sums`` are the cumulative weights."""


@_sampler("AllCandidateSampler", 3)
def _all(
    true_classes: Any,
    num_true: Any = 1,
    num_sampled: Any = 1,
    unique: Any = True,
    range_max: Any = 1,
    seed: Any = None,
    seed2: Any = None,
    name: str | None = None,
) -> Any:
    """See :func:`all_candidate_sampler`."""


def _sample(
    declared: Any,
    inputs: Sequence[Any],
    num_true: Any,
    num_sampled: Any,
    unique: Any,
    range_max: Any,
    seed: int | None,
    name: str | None,
) -> Candidates:
    numbers = {"num_true": num_true, "num_sampled": num_sampled, "range_max": range_max}
    attrs: dict[str, Any] = {k: int(v) for k, v in numbers.items()}
    for key, number in attrs.items():
        if number < 1:
            raise ValueError(at_user_line(f"{key} must be at least 1, not {number}"))
    if unique and attrs["num_sampled"] > attrs["range_max"]:
        raise ValueError(
            at_user_line(
                f"{attrs['num_sampled']} different classes cannot be drawn from the "
                f"{attrs['range_max']} in [0, range_max)"
            )
        )
    return Candidates(*drawn(declared, inputs, seed, name, unique=bool(unique), **attrs))


def uniform_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Candidates:
    """Sample classes, each in ``[0, range_max)`` with the same probability.

    The arguments and results are those of :func:`log_uniform_candidate_sampler`.

    Examples
    --------
    >>> import gradplan as gp
    >>> sampled, _, _ = gp.nn.uniform_candidate_sampler([[0]], 1, 3, True, 3)
    >>> sorted(gp.Session().run(sampled).tolist())
    [0, 1, 2]
    """
    return _sample(_uniform, [true_classes], num_true, num_sampled, unique, range_max, seed, name)


def log_uniform_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Candidates:
    """Sample classes, class k with probability ``(log(k + 2) - log(k + 1)) / log(range_max + 1)``.

    It suits classes that are sorted by falling frequency, such as words.

    Parameters
    ----------
    true_classes : tensor_like of int64, shape [batch, num_true]
        In ``[0, range_max)``.
    num_true : int
    num_sampled : int
        How many classes are drawn, for the whole batch.
    unique : bool
        Draw each class at most once: what is there already is drawn again.
    range_max : int
    seed : int, optional
    name : str, optional

    Returns
    -------
    sampled_candidates : Tensor of int64, shape [num_sampled]
    true_expected_count : Tensor of float32, shape [batch, num_true]
        How often each true class is expected among so many samples; with ``unique``, its
        probability to be among them after as many tries as were made.
    sampled_expected_count : Tensor of float32, shape [num_sampled]

    Raises
    ------
    ValueError
        If ``unique`` asks for more classes than there are.
    InvalidArgumentError
        At run time, if a true class is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> out = gp.nn.log_uniform_candidate_sampler([[0]], 1, 4, False, 3)
    >>> gp.Session().run(out.true_expected_count)
    array([[2.]], dtype=float32)
    """
    return _sample(
        _log_uniform, [true_classes], num_true, num_sampled, unique, range_max, seed, name
    )


def fixed_unigram_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    vocab_file: str = "",
    distortion: float = 1.0,
    num_reserved_ids: int = 0,
    num_shards: int = 1,
    shard: int = 0,
    unigrams: Sequence[float] = (),
    seed: int | None = None,
    name: str | None = None,
) -> Candidates:
    """Sample classes in proportion to given weights.

    Parameters
    ----------
    true_classes, num_true, num_sampled, unique, range_max, seed, name
        As of :func:`log_uniform_candidate_sampler`.
    vocab_file : str, optional
        A file with a line for each class; the last of its comma-separated fields is the weight.
    distortion : float, optional
        Every weight is raised to this power. Default: 1.
    num_reserved_ids : int, optional
        So many classes of weight 0 come first.
    num_shards, shard : int, optional
        Keep the classes whose number modulo ``num_shards`` is ``shard``.
    unigrams : sequence of float, optional
        The weights, instead of a file.

    Raises
    ------
    ValueError
        If not exactly one of ``vocab_file`` and ``unigrams`` is given, a weight is negative or not
        finite, or there are not ``range_max`` classes.

    Examples
    --------
    >>> import gradplan as gp
    >>> out = gp.nn.fixed_unigram_candidate_sampler([[1]], 1, 4, False, 2, unigrams=[3.0, 1.0])
    >>> gp.Session().run(out.true_expected_count)
    array([[1.]], dtype=float32)
    """
    if bool(vocab_file) == bool(len(unigrams)):
        raise ValueError(at_user_line("give one of vocab_file and unigrams"))
    if not 0 <= shard < num_shards:
        raise ValueError(at_user_line(f"shard {shard} is not in [0, {num_shards})"))
    if vocab_file:
        with open(vocab_file, newline="", encoding="utf-8") as file:
            unigrams = [float(row[-1]) for row in csv.reader(file) if row]
    given = np.asarray(unigrams, np.float64)
    if not (np.isfinite(given) & (given >= 0)).all():
        raise ValueError(at_user_line("unigrams must be finite and not negative"))
    weights = np.concatenate([np.zeros(num_reserved_ids), given**distortion])[shard::num_shards]
    if len(weights) != range_max:
        raise ValueError(
            at_user_line(f"range_max is {range_max}, but there are weights for {len(weights)}")
        )
    some = int(np.count_nonzero(weights))
    if not some or unique and some < num_sampled:
        raise ValueError(
            at_user_line(f"{num_sampled} classes are asked for, and {some} have a weight")
        )
    graph = graph_of([true_classes])
    with graph.as_default(), graph.name_scope(name or "FixedUnigramCandidateSampler") as scope:
        sums = constant(np.cumsum(weights), name="unigrams")
        return _sample(
            _fixed_unigram,
            [true_classes, sums],
            num_true,
            num_sampled,
            unique,
            range_max,
            seed,
            scope,
        )


def all_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    seed: int | None = None,
    name: str | None = None,
) -> Candidates:
    """All classes in ``[0, num_sampled)``, each expected once: to test a sampled loss.

    The arguments and results are those of :func:`log_uniform_candidate_sampler`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.all_candidate_sampler([[0]], 1, 3, True).sampled_candidates)
    array([0, 1, 2])
    """
    return _sample(_all, [true_classes], num_true, num_sampled, unique, num_sampled, seed, name)


# ---- accidental hits -----------------------------------------------------------------------------


@op(
    "ComputeAccidentalHits",
    CALL,
    kernel="accidental_hits",
    types="int64 int64 -> int32 int64 int64",
    flops=0,
)
def _accidental_hits(
    true_classes: Any, sampled_candidates: Any, num_true: Any = 1, name: str | None = None
) -> Any:
    """Row and place of every hit, filled up with zeros, and their number."""


@_accidental_hits.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    classes, sampled = in_shapes
    if shapes.merge(classes, (None, attrs["num_true"])) is False:
        raise ValueError(
            f"true_classes must be a matrix of {attrs['num_true']} columns, but is "
            f"{shapes.text(classes)}"
        )
    if sampled is not None and len(sampled) != 1:
        raise ValueError(f"sampled_candidates must be a vector, but is {shapes.text(sampled)}")
    n = None if classes is None or None in classes else shapes.size(classes)
    return [(n,), (n,), ()]


def compute_accidental_hits(
    true_classes: Any,
    sampled_candidates: Any,
    num_true: int,
    seed: int | None = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The true classes that were sampled too.

    Parameters
    ----------
    true_classes : tensor_like of int64, shape [batch, num_true]
    sampled_candidates : tensor_like of int64, shape [num_sampled]
    num_true : int
    seed : int, optional
        Accepted; nothing here is random.
    name : str, optional

    Returns
    -------
    indices : Tensor of int32
        For each hit the row of ``true_classes``.
    ids : Tensor of int64
        And its place in ``sampled_candidates``.
    weights : Tensor of float32
        And the most negative float32: what is to be added to its logit.

    Examples
    --------
    >>> import gradplan as gp
    >>> indices, ids, _ = gp.nn.compute_accidental_hits([[4], [7]], [7, 5], 1)
    >>> gp.Session().run([indices, ids])
    [array([1], dtype=int32), array([0])]
    """
    given = [true_classes, sampled_candidates]
    graph = graph_of(given)
    with graph.as_default(), graph.name_scope(name or "ComputeAccidentalHits") as scope:
        row, at, count = apply(_accidental_hits.opdef, given, {"num_true": int(num_true)}, "Hits")
        indices, ids = take_first(row, count), take_first(at, count)
        weights = zeros_like(indices, float32) + constant(float32.min, float32)
        return tuple(identity_n([indices, ids, weights], scope))  # type: ignore[return-value]


# ---- losses --------------------------------------------------------------------------------------


def _sampled_logits(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int,
    sampled_values: Any,
    remove_accidental_hits: bool,
    partition_strategy: str,
    seed: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Logits and labels of the true and, after them, of the sampled classes of each row."""
    from gradplan.ops import nn  # which holds this module's names too

    labels = cast(convert_to_tensor(labels, name="labels"), int64)
    inputs = convert_to_tensor(inputs, name="inputs")
    if sampled_values is None:
        sampled_values = log_uniform_candidate_sampler(
            labels, num_true, num_sampled, True, num_classes, seed
        )
    sampled, true_count, sampled_count = (stop_gradient(s) for s in sampled_values)
    sampled = cast(sampled, int64)
    ids = concat([sampled, reshape(labels, [-1])], 0)  # one lookup, so one gradient
    n = sampled._shape and sampled._shape[0] or num_sampled
    rows = nn.embedding_lookup(weights, ids, partition_strategy=partition_strategy)
    shifts = nn.embedding_lookup(biases, ids, partition_strategy=partition_strategy)
    of_sampled = matmul(inputs, rows[:n], transpose_b=True) + shifts[:n]
    width = rows._shape and rows._shape[1] or shape(inputs)[1]
    true_rows = reshape(rows[n:], [-1, num_true, width])
    of_true = reduce_sum(reshape(inputs, [-1, 1, width]) * true_rows, 2)
    of_true = of_true + reshape(shifts[n:], [-1, num_true])
    kind = of_true.dtype
    if remove_accidental_hits:
        hit = reduce_any(equal(reshape(labels, [-1, num_true, 1]), sampled), 1)
        of_sampled = where(hit, constant(float32.min, kind), of_sampled)
    of_true = of_true - log(cast(true_count, kind))
    of_sampled = of_sampled - log(cast(sampled_count, kind))
    share = constant(1.0 / num_true, kind)
    wanted = concat([ones_like(of_true) * share, zeros_like(of_sampled)], 1)
    return concat([of_true, of_sampled], 1), wanted


_LOSS_DOC = """

    Parameters
    ----------
    weights : tensor_like of float, shape [num_classes, dim], or list of them
        The rows of the classes; a list holds shards, see ``partition_strategy``.
    biases : tensor_like of float, shape [num_classes]
    labels : tensor_like of int64, shape [batch, num_true]
        The true classes.
    inputs : tensor_like of float, shape [batch, dim]
    num_sampled : int
        Classes that are sampled for the whole batch.
    num_classes : int
    num_true : int, optional
        True classes of a row. Default: 1.
    sampled_values : tuple, optional
        What a sampler gave. Default: of :func:`log_uniform_candidate_sampler`.
    remove_accidental_hits : bool, optional
        Leave out samples that are a true class of the row. Default: {hits}.
    partition_strategy : {{"mod", "div"}}, optional
        How classes are spread over shards. Default: ``"mod"``.
    name : str, optional{more}

    Returns
    -------
    Tensor, shape [batch]
        The loss of each row.
"""


def nce_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = False,
    partition_strategy: str = "mod",
    name: str = "nce_loss",
) -> Tensor:
    """Noise-contrastive estimation: tell true classes from sampled ones by their logits.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> sampled = gp.nn.all_candidate_sampler([[0]], 1, 2, True)
    >>> w, b = gp.zeros([2, 3]), gp.zeros([2])
    >>> loss = gp.nn.nce_loss(w, b, [[0]], gp.ones([1, 3]), 2, 2, sampled_values=sampled)
    >>> gp.Session().run(loss)
    array([2.0794415], dtype=float32)
    """
    graph = graph_of([weights, biases, labels, inputs])
    with graph.as_default(), graph.name_scope(name or "nce_loss"):
        logits, wanted = _sampled_logits(
            weights,
            biases,
            labels,
            inputs,
            num_sampled,
            num_classes,
            num_true,
            sampled_values,
            remove_accidental_hits,
            partition_strategy,
        )
    with graph.as_default():
        losses = sigmoid_cross_entropy_with_logits(
            labels=wanted, logits=logits, name="sampled_losses"
        )
        graph.reserve("Shape", "strided_slice", "stack", "ones", "MatMul")  # of TensorFlow's sum
        return reduce_sum(losses, 1, name="Reshape")


def sampled_softmax_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = True,
    partition_strategy: str = "mod",
    name: str = "sampled_softmax_loss",
    seed: int | None = None,
) -> Tensor:
    """Softmax cross-entropy over the true classes and a sample of the others.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> sampled = gp.nn.all_candidate_sampler([[0]], 1, 2, True)
    >>> w, b = gp.zeros([2, 3]), gp.zeros([2])
    >>> loss = gp.nn.sampled_softmax_loss(w, b, [[0]], gp.ones([1, 3]), 2, 2, 1, sampled)
    >>> gp.Session().run(loss)
    array([0.6931472], dtype=float32)
    """
    graph = graph_of([weights, biases, labels, inputs])
    with graph.as_default(), graph.name_scope(name or "sampled_softmax_loss"):
        logits, wanted = _sampled_logits(
            weights,
            biases,
            labels,
            inputs,
            num_sampled,
            num_classes,
            num_true,
            sampled_values,
            remove_accidental_hits,
            partition_strategy,
            seed,
        )
    with graph.as_default():
        wanted = stop_gradient(wanted, name="labels_stop_gradient")
        return softmax_cross_entropy_with_logits_v2(labels=wanted, logits=logits)


for _loss, _hits, _more in (
    (nce_loss, "False", ""),
    (sampled_softmax_loss, "True", "\n    seed : int, optional\n        Of the sampler."),
):
    assert _loss.__doc__ is not None
    _loss.__doc__ = _loss.__doc__.replace("{doc}", _LOSS_DOC.format(hits=_hits, more=_more))
