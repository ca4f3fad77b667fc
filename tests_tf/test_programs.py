"""Programs drawn at random: the same text run by gradplan and by TensorFlow, values and gradients.

A program is a list of steps of four integers: which template, on which values of the pool, with
which options. It is written out as text while it is built on gradplan, which tells the shapes; a
failure is made smaller and prints the text, which can be run as it is with either module as ``tf``.

``GRADPLAN_TF_EXAMPLES=5000 GRADPLAN_PROFILE=nightly make test-tf`` draws more, and new ones.
"""

import os

import numpy as np
import pytest
from both import evaluate
from hypothesis import given, settings
from hypothesis import strategies as st
from table import has, names
from test_calls import differences

import gradplan as gp

EXAMPLES = int(os.environ.get("GRADPLAN_TF_EXAMPLES", 100))
MAX_SIZE, MAX_RANK, LIMIT = 600, 4, 200.0
#: What is fed: shapes with dimensions of 0 and 1, whole numbers as floats so that sums are exact.
FEEDS = {
    "a": ("float64", (5, 3)), "b": ("float64", (3,)), "c": ("float32", (5, 1)),
    "d": ("float32", (2, 3, 4)), "e": ("float64", (1, 1)), "f": ("float64", (0, 3)),
    "g": ("float32", ()), "h": ("int32", (5, 3)), "i": ("int64", (3,)), "j": ("bool", (5, 3)),
    "k": ("float64", (2, 3, 1, 2)), "l": ("float64", (4, 4)),
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore")


def feeds():
    rng = np.random.default_rng(11)
    return {n: np.asarray(rng.integers(-3, 4, s)).astype(t) for n, (t, s) in FEEDS.items()}


class Value:
    """A name of the program: its shape and type, a bound on its size, whether it is exact.

    What is not exact must not meet a jump or a kink, where one rounding more decides.
    """

    def __init__(self, name, tensor, shape, bound, exact):
        self.name, self.bound, self.exact = name, bound, exact
        self.shape, self.dtype, self.kind = shape, tensor.dtype, tensor.dtype.np.kind
        self.rank, self.size = len(self.shape), int(np.prod(self.shape))

    def __str__(self):
        return self.name


class Unfit(Exception):
    """No value of the pool suits the step, or the result would be too large."""


class Program:
    def __init__(self, steps):
        self.lines, self.pool, self.space, self.fed = [], [], {"tf": gp, "np": np}, {}
        for name, array in feeds().items():
            tensor = gp.placeholder(array.dtype, array.shape, name=name)
            self.space[name], self.fed[tensor] = tensor, array
            self.pool.append(Value(name, tensor, array.shape, 3.0, True))
        for step in steps:
            try:
                self.step(*step)
            except Unfit:
                pass

    def pick(self, number, fits=lambda v: True):
        found = [v for v in self.pool if fits(v)]
        if not found:
            raise Unfit
        return found[-1 - number % len(found)]

    def emit(self, text, bound, exact):
        """Add a line; the bounds keep numbers far from where types overflow."""
        name = f"v{len(self.lines)}"
        line = f"{name} = {text}"
        self.lines.append(line)
        try:
            exec(line, self.space)
            shape = self.shape(self.space[name])
        except Exception as error:
            lines = needed(self.lines, [name])
            pytest.fail("\n".join(["gradplan refuses the last line:", *lines, repr(error)]))
        made = Value(name, self.space[name], shape, bound, exact)
        if made.size <= MAX_SIZE and made.rank <= MAX_RANK:
            if made.kind == "f" and bound > LIMIT:
                self.emit(f"tf.tanh({name} / {LIMIT})", 1.0, False)
            elif made.kind == "i" and bound > LIMIT:
                self.emit(f"tf.floormod({name}, 7)", 7.0, True)
            else:
                self.pool.append(made)

    def shape(self, tensor):
        """The static shape, or where it leaves something open that of the value."""
        if tensor.shape.is_fully_defined():
            return tuple(tensor.shape.as_list())
        with gp.Session() as session:
            return session.run(tensor, self.fed).shape

    def step(self, kind, a, b, option):
        template = STEPS[kind % len(STEPS)]
        template(self, a, b, option)


def able(rows):
    """The rows whose names gradplan has; ``test_names.py`` fails for the others."""
    return [row for row in rows if all(has(gp, n) for n in names(row[0]))]


# ---- tables: a line for each operation -----------------------------------------------------------

#: Of one float: text, whether it is smooth, bound of the result for a bound of the argument.
UNARY = able(
    [
        ("tf.tanh({})", True, lambda m: 1),
        ("tf.sigmoid({})", True, lambda m: 1),
        ("tf.sin({})", True, lambda m: 1),
        ("tf.cos({} / 3.0)", True, lambda m: 1),
        ("tf.exp(-tf.square({}))", True, lambda m: 1),
        ("tf.nn.softplus({})", True, lambda m: m + 1),
        ("tf.log(tf.square({}) + 1.0)", True, lambda m: m),
        ("tf.atan({})", True, lambda m: 2),
        ("tf.sqrt(tf.square({}) + 1.0)", True, lambda m: m + 1),
        ("tf.erf({})", True, lambda m: 1),
        ("tf.rsqrt(tf.square({}) + 0.5)", True, lambda m: 2),
        ("tf.nn.softsign({})", True, lambda m: 1),
        ("tf.reciprocal(tf.square({}) + 1.0)", True, lambda m: 1),
        ("tf.log1p({} ** 2)", True, lambda m: m),
        ("tf.square({})", None, lambda m: m * m),
        ("tf.negative({})", None, lambda m: m),
        ("{} * 2.0 - 1.0", None, lambda m: 2 * m + 1),
        ("tf.identity({})", None, lambda m: m),
        ("tf.stop_gradient({})", None, lambda m: m),
        ("tf.abs({})", False, lambda m: m),
        ("tf.nn.relu({})", False, lambda m: m),
        ("tf.sign({})", False, lambda m: 1),
        ("tf.nn.leaky_relu({})", False, lambda m: m),
        ("tf.nn.relu6({})", False, lambda m: 6),
        ("tf.floor({} / 2.0)", False, lambda m: m),
        ("tf.clip_by_value({}, -2.0, 2.0)", False, lambda m: 2),
        ("tf.nn.elu({})", False, lambda m: m),
        ("tf.nn.selu({})", False, lambda m: 2 * m),
        ("tf.log_sigmoid({})", True, lambda m: m + 1),
        ("tf.nn.swish({})", True, lambda m: m),
        ("tf.expm1({} / 200.0)", True, lambda m: 2),
        ("tf.lgamma(tf.square({}) + 1.0)", True, lambda m: 6 * m * m),
    ]
)
#: Of two numbers that broadcast: text, whether it is smooth (None: exact too), bound.
BINARY = able(
    [
        ("{} + {}", None, lambda m, n: m + n),
        ("{} - {}", None, lambda m, n: m + n),
        ("tf.multiply({}, {})", None, lambda m, n: m * n),
        ("tf.maximum({}, {})", False, max),
        ("tf.minimum({}, {})", False, max),
        ("tf.squared_difference({}, {})", None, lambda m, n: (m + n) ** 2),
        ("{} / (tf.square({}) + 1)", True, lambda m, n: m),
        ("tf.floormod({}, tf.abs({}) + 1)", False, lambda m, n: n + 1),
        ("tf.div_no_nan(tf.to_double({}), tf.to_double({}))", False, lambda m, n: m),
        ("tf.add_n([{0} + {1}, {0} - {1}])", None, lambda m, n: 2 * (m + n)),
    ]
)
#: What moves elements: text, and the shapes that it takes.
MOVES = able(
    [
        ("tf.transpose({})", lambda s: True),
        ("tf.expand_dims({}, -1)", lambda s: True),
        ("tf.expand_dims({}, 0)", lambda s: True),
        ("tf.reshape({}, [-1])", lambda s: 0 not in s),
        ("tf.reshape({}, [3, -1])", lambda s: 0 not in s and np.prod(s) % 3 == 0),
        ("tf.concat([{0}, {0}], -1)", lambda s: s),
        ("tf.concat([{0}, {0} * 2], axis=0)", lambda s: s),
        ("{}[0]", lambda s: s and s[0]),
        ("{}[..., -1]", lambda s: s and s[-1]),
        ("{}[::-1]", lambda s: s),
        ("{}[1:]", lambda s: s),
        ("{}[..., ::2]", lambda s: s),
        ("{}[None]", lambda s: True),
        ("tf.broadcast_to({0}, tf.concat([[2], tf.shape({0})], 0))", lambda s: True),
        ("tf.zeros_like({})", lambda s: True),
        ("tf.reshape({0}, tf.reverse(tf.shape({0}), [0]))", lambda s: s),
        ("tf.where(tf.equal({0}, {0}), {0}, tf.ones_like({0}))", lambda s: True),
        ("tf.tile({}, [2])", lambda s: len(s) == 1),
        ("tf.tile({}, [1, 2])", lambda s: len(s) == 2),
        ("tf.stack([{0}, {0}], 1)", lambda s: s),
        ("tf.unstack({})[-1]", lambda s: s and s[0]),
        ("tf.split({}, [1, -1], 0)[1]", lambda s: s and s[0]),
        ("tf.squeeze({})", lambda s: True),
        ("tf.split({}, 2)[0]", lambda s: s and s[0] % 2 == 0),
        ("tf.gather({}, [0, 0])", lambda s: s and s[0]),
        ("tf.gather({}, [[1], [0]], axis=-1)", lambda s: s and s[-1] > 1),
        ("tf.reverse({}, [0])", lambda s: s),
        ("tf.gather_nd({}, [[0, 0], [1, 0]])", lambda s: len(s) > 1 and s[0] > 1 and s[1]),
        ("tf.pad({}, [[1, 0], [0, 2]])", lambda s: len(s) == 2),
        ("tf.roll({}, 1, -1)", lambda s: s and s[-1]),
        ("tf.pad({}, [[1, 1]], 'REFLECT')", lambda s: len(s) == 1 and s[0] > 1),
        ("tf.slice({}, [0, 1], [-1, 1])", lambda s: len(s) == 2 and s[1] > 1),
        ("tf.diag_part({})", lambda s: len(s) == 2 and s[0] == s[1]),
        ("tf.matrix_band_part({}, 1, 0)", lambda s: len(s) > 1 and s[-2]),
        ("tf.matrix_diag({})", lambda s: s),
        ("tf.matrix_transpose({})", lambda s: len(s) > 1),
        ("tf.scatter_nd([[1], [1]], {}, [3, 4])", lambda s: s == (2, 4)),
        ("tf.unsorted_segment_sum({}, [0, 1, 0], 2)", lambda s: s and s[0] == 3),
        ("tf.segment_sum({}, [0, 0, 1])", lambda s: s and s[0] == 3),
        ("tf.nn.embedding_lookup({}, [1, 0, 1])", lambda s: s and s[0] > 1),
    ]
)
#: Along one axis: text with the value and the axis, whether it needs exact values, is then exact.
ALONG = able(
    [
        ("tf.reduce_sum({}, {})", False, True),
        ("tf.reduce_mean({}, {}, keepdims=True)", False, False),
        ("tf.reduce_sum({}, [{}], keep_dims=True)", False, True),
        ("tf.reduce_max({}, {})", True, True),
        ("tf.reduce_min({}, {}, keepdims=True)", True, True),
        ("tf.nn.softmax({}, axis={})", False, False),
        ("tf.nn.log_softmax({}, {})", False, False),
        ("tf.reduce_logsumexp({}, {})", False, False),
        ("tf.cumsum({}, {}, exclusive=True)", False, True),
        ("tf.cumsum({}, {}, reverse=True)", False, True),
        ("tf.nn.l2_normalize({}, {}, 1.0)", False, False),
        ("tf.nn.moments({}, [{}])[1]", False, False),
        ("tf.to_double(tf.argmax({}, {}))", True, True),
        ("tf.to_float(tf.argmin({}, axis={}))", True, True),
        ("tf.reduce_prod(tf.tanh({}), {})", False, False),
        # Above 0: TensorFlow takes the derivative at a 0 for 0.
        ("tf.cumprod(tf.exp(tf.tanh({})), {})", False, False),
    ]
)
LOSSES = able(
    [
        ("tf.nn.softmax_cross_entropy_with_logits_v2(labels=tf.nn.softmax({0}), logits={0} * 2)",),
        ("tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.sigmoid({0}), logits={0} / 3)",),
        ("tf.losses.mean_squared_error(tf.tanh({0}), {0})",),
        ("tf.losses.huber_loss(tf.tanh({0}), {0}, delta=0.3)",),
        ("tf.nn.l2_loss({0})",),
    ]
)


# ---- the steps -----------------------------------------------------------------------------------


def floats(v):
    return v.kind == "f"


def numbers(v):
    return v.kind in "fi"


def unary(p, a, b, option):
    text, smooth, bound = UNARY[option % len(UNARY)]
    x = p.pick(a, lambda v: floats(v) and (v.exact or smooth is not False))
    p.emit(text.format(x), bound(x.bound), x.exact and not smooth and "/" not in text)


def binary(p, a, b, option):
    text, smooth, bound = BINARY[option % len(BINARY)]

    def fits(v):
        return numbers(v) and (v.exact or smooth is not False)

    x = p.pick(a, lambda v: fits(v) and (smooth is not True or floats(v)))
    y = p.pick(b, lambda v: fits(v) and v.dtype is x.dtype and joins(x.shape, v.shape))
    exact = x.exact and y.exact and not smooth and "div" not in text
    p.emit(text.format(x, y), bound(x.bound, y.bound), exact)


def joins(a, b):
    pairs = list(zip(a[::-1], b[::-1], strict=False))
    return all(m == n or 1 in (m, n) for m, n in pairs)


#: Words of the moves that want numbers.
ARITHMETIC = ("pad", "segment", "scatter", "diag", "band", "zeros")


def move(p, a, b, option):
    text, takes = MOVES[option % len(MOVES)]
    x = p.pick(a, lambda v: (numbers(v) or "*" not in text and v.exact) and takes(v.shape))
    if x.kind == "b" and any(
        w in text for w in ("pad", "segment", "scatter", "diag", "band", "zeros")
    ):
        raise Unfit
    p.emit(text.format(x), 2 * x.bound, x.exact)


def along(p, a, b, option):
    text, wants_exact, stays = ALONG[option % len(ALONG)]
    x = p.pick(
        a, lambda v: floats(v) and v.rank and 0 not in v.shape and (v.exact or not wants_exact)
    )
    axis = b % x.rank - (x.rank if option % 2 else 0)
    p.emit(text.format(x, axis), x.bound * max(x.shape), x.exact and stays)


def product(p, a, b, option):
    x = p.pick(a, lambda v: floats(v) and v.rank == 2)
    ta, tb = bool(option & 1), bool(option & 2)
    k = x.shape[0 if ta else 1]
    y = p.pick(b, lambda v: v.dtype is x.dtype and v.rank == 2 and v.shape[1 if tb else 0] == k)
    text = f"tf.matmul({x}, {y}, transpose_a={ta}, transpose_b={tb})"
    p.emit(text, x.bound * y.bound * max(k, 1), x.exact and y.exact)


def bias(p, a, b, option):
    x = p.pick(a, lambda v: floats(v) and v.rank >= 2)
    y = p.pick(b, lambda v: v.dtype is x.dtype and v.shape == x.shape[-1:])
    p.emit(f"tf.nn.bias_add({x}, {y})", x.bound + y.bound, x.exact and y.exact)


def loss(p, a, b, option):
    (text,) = LOSSES[option % len(LOSSES)]
    x = p.pick(a, lambda v: floats(v) and v.rank == 2 and v.size)
    p.emit(text.format(x), x.bound**2 * x.size, False)


def compare(p, a, b, option):
    x = p.pick(a, lambda v: numbers(v) and v.exact)
    sign = ("<", "<=", ">", ">=")[option % 4]
    p.emit(f"{x} {sign} {option % 3 - 1}", 1.0, True)


def choose(p, a, b, option):
    condition = p.pick(option, lambda v: v.kind == "b")
    x = p.pick(a, lambda v: numbers(v) and v.shape == condition.shape)
    y = p.pick(b, lambda v: v.dtype is x.dtype and v.shape == x.shape)
    p.emit(f"tf.where({condition}, {x}, {y})", max(x.bound, y.bound), x.exact and y.exact)


def convert(p, a, b, option):
    x = p.pick(a, lambda v: v.exact)
    to = ("float32", "float64", "int32", "int64")[option % 4]
    p.emit(f"tf.cast({x}, tf.{to})", x.bound, True)


STEPS = (unary, unary, binary, binary, move, move, along, along, product, bias, loss, compare,
         choose, convert)  # fmt: skip

programs = st.lists(st.tuples(*[st.integers(0, 90)] * 4), min_size=5, max_size=50)


@settings(max_examples=EXAMPLES)
@given(programs, st.lists(st.integers(0, 60), max_size=2))
def test_program(tensorflow, steps, picks):
    with gp.Graph().as_default():
        program = Program(steps)
        outs = dict.fromkeys(str(v) for v in [program.pool[-1], *map(program.pick, picks)])
    lines = needed(program.lines, outs)
    text = "\n".join([*lines, f"out = [{', '.join(outs)}]"])
    arrays = {n: a for n, a in feeds().items() if n in FEEDS and used(n, text)}
    ours = evaluate(gp, text, arrays, orders=1)
    theirs = tensorflow.evaluate(text, arrays, orders=1)
    narrow = "float32" in kinds(arrays, text) or "tf.losses." in text  # which compute in float32
    for answer in ours, theirs:  # sums are numbered, and a composition may have one more
        for gradient in filter(None, answer.get("first names", ())):
            gradient[1] = gradient[1].split("AddN")[0]
    found = differences(ours, theirs, tol=2e-4 if narrow else 1e-8)
    # Names are numbered after what compositions are made of. What is known of a shape is a matter
    # for the table of calls; here it has only to be true.
    found.pop("name", None)
    found.pop("shape", None)
    for value, static in zip(ours.get("values", []), ours.get("shapes", []), strict=False):
        pairs = zip(value.shape, static or value.shape, strict=True)
        assert all(d in (None, n) for n, d in pairs), f"{text}\n{static}, but {value.shape}"
    assert not found, "\n".join(["", declared(arrays), text, *found.values()])


def words(line):
    return set(line.replace("(", " ").replace(")", " ").replace(",", " ").replace("[", " ")
               .replace("]", " ").replace("-", " ").split())  # fmt: skip


def used(name, text):
    return any(name in words(line.partition(" = ")[2]) for line in text.splitlines())


def needed(lines, outs):
    """Those lines that the results depend on."""
    wanted, kept = set(outs), []
    for line in reversed(lines):
        name, _, text = line.partition(" = ")
        if name in wanted:
            kept.append(line)
            wanted |= words(text)
    return kept[::-1]


def kinds(arrays, text):
    return {a.dtype.name for a in arrays.values()} | {k for k in ("float32",) if k in text}


def declared(arrays):
    """The lines before the program, for who wants to run it."""
    return "\n".join(
        f"{n} = tf.placeholder('{a.dtype.name}', {a.shape})  # {a.tolist()}"
        for n, a in arrays.items()
    )
