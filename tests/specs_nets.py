"""Rows of the operations of gp.nn and of clipping that are made of others, and of windows."""

import numpy as np
from scipy import special
from specs import ALL, Bad, InvalidArgument, Spec, between, f32, i32, normal, positive, sweep

import gradplan as gp
from gradplan.ops import sampling, variates

# fmt: off


def begin_in(rng, shape, dtype, shapes):
    """A place for a window of one less than the first input in each dimension."""
    return rng.integers(0, 2, shape).astype(np.int32)


def window(x, begin, size):
    return x[tuple(slice(b, b + n) for b, n in zip(begin, size, strict=True))].copy()


def window_grad(dy, begin, shape):
    out = np.zeros(shape, dy.dtype)
    out[tuple(slice(b, b + n) for b, n in zip(begin, dy.shape, strict=True))] = dy
    return out


def windows(shapes):
    return tuple(((s, (len(s),)), {"size": [d - 1 if d else 0 for d in s]}) for s in shapes
                 if 0 not in s)


def grads_of_windows(shapes):
    return tuple((([d - 1 for d in s], (len(s),)), {"shape": list(s)}) for s in shapes)


def classes_of(n):
    return lambda rng, shape, dtype, shapes=(): rng.integers(0, n, shape)


def hits(true, sampled):
    """By hand: row and last place of each true class that was sampled."""
    row, at = [], []
    for i, classes in enumerate(true):
        for k in classes:
            places = [j for j, s in enumerate(sampled) if s == k]
            if places:
                row.append(i)
                at.append(places[-1])
    return np.array(row, np.int32), np.array(at, np.int64), np.full(
        len(row), np.finfo(np.float32).min, np.float32)


def clip(x, clip_norm=1.0, axes=None):
    norm = np.sqrt((x * x).sum(axes and tuple(axes), keepdims=True))
    return x * clip_norm / np.maximum(norm, clip_norm)


def average_clip(x, clip_norm):
    norm = np.sqrt((x * x).sum()) / x.size
    return x * clip_norm / np.maximum(norm, clip_norm)


def weighted_xent(z, x, w):
    return z * w * np.logaddexp(0, -x) + (1 - z) * np.logaddexp(0, x)


def log_poisson(z, c, compute_full_loss=False):
    stirling = np.where(z > 1, z * np.log(z) - z + 0.5 * np.log(2 * np.pi * z), 0)
    return np.exp(c) - z * c + (stirling if compute_full_loss else 0)


def weighted(x, w, reduction):
    w = np.broadcast_to(w, x.shape)
    total = (x * w).sum()
    by = {"weighted_sum": 1, "weighted_mean": w.sum(), "weighted_sum_over_batch_size": x.size,
          "weighted_sum_by_nonzero_weights": np.count_nonzero(w)}
    return x * w if reduction == "none" else total / by[reduction] if by[reduction] else 0 * total


def some_weights(rng, shape, dtype, shapes=()):
    return (rng.uniform(0.5, 2, shape) * rng.integers(0, 2, shape)).astype(dtype)


# Away from 1, where the loss jumps.
counts = lambda rng, shape, dtype, shapes=(): (  # noqa: E731
    np.where(rng.integers(0, 2, shape), rng.uniform(0.1, 0.9, shape), rng.uniform(1.2, 9, shape))
).astype(dtype)
MATRICES = ((3, 4), (1, 5), (33, 17))
AFFINE = sweep((((3, 4), (4, 5), (5,)), ((1, 2), (2, 1), (1,)), ((17, 3), (3, 7), (7,))))

SPECS = [
    # ---- windows
    Spec("Window", lambda x, begin, size: variates._window(x, size, begin), window,
         (normal, begin_in), windows(((), (3,), (4, 2), (1, 5), (3, 4, 5), (33, 17))), ALL,
         diff=(0,), bad=(
             Bad(InvalidArgument, ("2", "position 1", "[0, 2)"),
                 (f32(3, 4), np.array([0, 2], np.int32)), {"size": [2, 3]}),
             Bad(InvalidArgument, ("-1", "position 0"),
                 (f32(3, 4), np.array([-1, 0], np.int32)), {"size": [2, 3]}),
             Bad(ValueError, ("(3, 4)", "[2, 5]"), (f32(3, 4), i32(2)), {"size": [2, 5]}),
             Bad(ValueError, ("-1",), (f32(3,), i32(1)), {"size": [-1]}),
             Bad(TypeError, ("begin", "float32"), (f32(3), f32(1)), {"size": [1]}))),
    Spec("WindowGrad", lambda dy, begin, shape: variates._window_grad(dy, shape, begin),
         window_grad, (normal, begin_in), grads_of_windows(((3,), (4, 2), (3, 4, 5))), ALL,
         diff=(0,)),
    # ---- sampled losses
    Spec("ComputeAccidentalHits",
         lambda t, s: sampling.compute_accidental_hits(t, s, 2),
         hits, (classes_of(9),), sweep((((3, 2), (5,)), ((1, 2), (1,)), ((4, 2), (0,)),
                                        ((0, 2), (3,)), ((17, 2), (6,)))), ("int64",), bad=(
             Bad(ValueError, ("2 columns", "(3,)"), (np.zeros(3, int), np.zeros(2, int))),
             Bad(ValueError, ("vector", "(2, 2)"), (np.zeros((3, 2), int), np.zeros((2, 2), int))),
             Bad(TypeError, ("int32",), (i32(3, 2), np.zeros(2, int))))),
    # ---- layers
    Spec("Mul/swish", gp.nn.swish, lambda x: x * special.expit(x), (normal,),
         sweep(((), (3,), (2, 3), (1025,))), ulps=8, diff=(0,)),
    Spec("BiasAdd/xw_plus_b", gp.nn.xw_plus_b, lambda x, w, b: x @ w + b, (normal,), AFFINE,
         ulps=8, scale=lambda x, w, b: abs(x) @ abs(w) + abs(b), diff=(0, 1, 2)),
    Spec("Relu/relu_layer", gp.nn.relu_layer, lambda x, w, b: np.maximum(x @ w + b, 0), (normal,),
         AFFINE, ulps=8, scale=lambda x, w, b: abs(x) @ abs(w) + abs(b), diff=(0, 1, 2)),
    Spec("Rsqrt/l2_normalize", gp.nn.l2_normalize,
         lambda x, axis=None: x / np.sqrt((x * x).sum(axis, keepdims=True)), (positive,),
         sweep(MATRICES, {}, {"axis": 0}, {"axis": -1}), ulps=8, diff=(0,)),
    Spec("Mean/zero_fraction", gp.nn.zero_fraction,
         lambda x: np.float32((x == 0).mean()), (between(-2, 2),), sweep(((3,), (2, 9))),
         ("int32",), flat=True),
    # ---- losses
    Spec("Softplus/weighted_cross_entropy", gp.nn.weighted_cross_entropy_with_logits,
         weighted_xent, (between(0, 1), normal, positive),
         sweep((((3,), (3,), ()), ((2, 17), (2, 17), (17,)))), ulps=16,
         scale=lambda z, x, w: (1 + w) * (1 + abs(x)), diff=(0, 1, 2)),
    Spec("Exp/log_poisson_loss", gp.nn.log_poisson_loss, log_poisson, (counts, normal),
         sweep((((3,), (3,)), ((2, 17), (2, 17))), {}, {"compute_full_loss": True}), ulps=24,
         scale=lambda z, c, **_: np.exp(c) + (1 + z) * (1 + abs(c)) + z * z, diff=(0, 1)),
    Spec("WeightsOfLosses", lambda x, w, reduction: gp.losses.compute_weighted_loss(
             x, w, reduction=reduction), weighted, (normal, some_weights),
         sweep((((3,), (3,)), ((4, 5), (4, 1)), ((4, 5), ()), ((0,), ()), ((3, 1, 4), (1, 1, 4))),
               *({"reduction": r} for r in gp.losses.Reduction.all())), ulps=16,
         scale=lambda x, w, reduction: abs(x).sum() * 2 + 1 + 0 * weighted(x, w, reduction),
         diff=(0,), bad=tuple(
             Bad(ValueError, words, (f32(4, 5), f32(*shape)), {"reduction": "none"})
             for shape, words in (((5,), ("broadcast", "(5,)", "(4, 5)")),
                                  ((4, 2), ("broadcast", "(4, 2)", "(4, 5)")),
                                  ((1, 4, 5), ("broadcast", "(1, 4, 5)"))))),
    # ---- clipping
    Spec("RealDiv/clip_by_norm", gp.clip_by_norm, clip, (normal,),
         sweep(((3,), (2, 3), (17, 33)), {"clip_norm": 1.0}, {"clip_norm": 100.0}) +
         sweep(((3, 4),), {"clip_norm": 2.0, "axes": [1]}), ulps=8, diff=(0,)),
    Spec("Minimum/clip_by_average_norm", gp.clip_by_average_norm, average_clip, (normal,),
         sweep(((3,), (17, 33)), {"clip_norm": 0.1}, {"clip_norm": 100.0}), ulps=8, diff=(0,)),
    Spec("Sqrt/global_norm", lambda *xs: gp.global_norm(xs),
         lambda *xs: np.sqrt(sum((x * x).sum() for x in xs)), (normal,),
         (*sweep((((3,), (2, 3)), ((1025,), ())),),), ulps=8, diff=(0, 1)),
    Spec("Minimum/clip_by_global_norm", lambda *xs: tuple(gp.clip_by_global_norm(xs, 1.5)[0]),
         lambda *xs: tuple(x * 1.5 / max(1.5, np.sqrt(sum((x * x).sum() for x in xs)))
                           for x in xs), (normal,), sweep((((3,), (2, 3)), ((1025,), ()))),
         ulps=8, diff=(0, 1)),
]

#: Operations that draw, and what their checks need.
ELSEWHERE = {
    "RandomStream": "test_random.test_streams_of_runs_and_of_trips",
    "FoldStream": "test_random.test_streams_of_runs_and_of_trips",
    "RandomUniformInt": "test_draws.test_integers_are_uniform",
    "RandomGamma": "test_draws.test_gamma",
    "RandomPoissonV2": "test_draws.test_poisson",
    "Multinomial": "test_draws.test_multinomial",
    "RandomShuffle": "test_draws.test_shuffle",
    "UniformCandidateSampler": "test_sampling.test_probabilities",
    "LogUniformCandidateSampler": "test_sampling.test_probabilities",
    "FixedUnigramCandidateSampler": "test_sampling.test_probabilities",
    "AllCandidateSampler": "test_sampling.test_all_candidates",
    "DropoutRate": "test_nets.test_dropout_refuses_a_fed_rate",
}
