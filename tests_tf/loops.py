"""Random programs of nested conditionals and loops, some of which write a variable as they go."""

import random

#: What takes two tensors of shape [3] and gives a third.
STEPS = (
    "tf.tanh({a})",
    "{a} * {b}",
    "{a} - 0.5 * {b}",
    "tf.maximum({a}, {b})",
    "tf.where({a} > {b}, {a}, {b})",
    "tf.reverse({a}, [0])",
    "{a} * tf.reduce_mean({b})",
    "tf.concat([{a}[1:], {b}[:1]], 0)",
    "tf.squeeze(tf.matmul(tf.reshape({a}, [1, 3]), w), 0)",
    "tf.cumsum({a}) / 3.0",
    "tf.nn.softmax({a})",
    "tf.stop_gradient({a}) * {b}",
    "v.read_value() * {a}",
    "v.read_value() + {b}",
)
WRITES = (
    "tf.identity(tf.assign(v, tf.tanh({a})))",
    "tf.identity(tf.assign_add(v, 0.1 * {a}))",
    "tf.identity(tf.assign_sub(v, 0.1 * {a})) * {b}",
)
START = """
v = tf.get_variable("v", initializer=np.array([0.3, -0.2, 0.1]), use_resource=True)
w = tf.constant(np.linspace(-0.5, 0.5, 9).reshape(3, 3))
"""


#: What takes two tensors of shape [?, 2] and gives a third, of as many rows as there are then.
ROW_STEPS = (
    "tf.tanh({a})",
    "{a} * 0.5",
    "tf.concat([{a}, {b}], 0)[:9]",
    "{a}[1:]",
    "tf.boolean_mask({a}, {a}[:, 0] > 0.0)",
    "tf.reverse({a}, [0])",
    "tf.gather({a}, tf.range(tf.shape({a})[0] // 2))",
    "{a} + 0.1 * tf.reduce_sum({b})",
    "tf.pad({a}, [[0, tf.shape({b})[0] % 3], [0, 0]])[:9]",
    "tf.stack(2 * [tf.map_fn(lambda r: tf.reduce_sum(tf.boolean_mask(r, r > 0.0)), {a})], 1)",
    "tf.scan(lambda p, r: tf.tanh(p + r), {a}, initializer=0.1 * tf.reduce_sum({b}, 0))",
)
#: Rows that are written in some trips alone.
CHOSEN = """
for t in (x, y): t.set_shape([None, 2])
def chosen(m):
    rows = tf.TensorArray(tf.float64, 0, dynamic_size=True, element_shape=[2])
    def body(i, k, rows):
        return tf.cond(m[i, 1] > 0.0, lambda: (i + 1, k + 1, rows.write(k, m[i] * 2.0)),
                       lambda: (i + 1, k, rows))
    _, k, rows = tf.while_loop(lambda i, k, rows: i < tf.shape(m)[0], body, [0, 0, rows])
    more = rows.write(k, 0.5 * tf.reduce_sum(m, 0)).stack()
    more.set_shape([None, 2])
    return more
"""


class Writer:
    """Writes the text of one program. Where it writes a variable, each step waits for the one
    before it, so that there is but one order in which to run."""

    start = START

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.writes = self.chooses_to_write()
        self.lines = []
        self.count = 0
        self.before = None  # what the next step waits for
        env = ["x", "y"]
        for _ in range(self.random.randint(3, 6)):
            env.append(self.step(env, "", 2))
        wanted = env[-1:] if self.writes else env[-3:]
        out = f"out = [{', '.join(wanted)}]\n"
        if self.writes:
            out += "with tf.control_dependencies(out): out = [*out, v.read_value()]\n"
        self.text = self.start + "\n".join(self.lines) + "\n" + out

    def chooses_to_write(self):
        return self.random.random() < 0.5

    def name(self, start="t"):
        self.count += 1
        return f"{start}{self.count}"

    def emit(self, indent, made, value, others="{}"):
        wait = f"with tf.control_dependencies([{self.before}]): " if self.before else ""
        self.lines.append(f"{indent}{wait}{others.format(made)} = {value}")
        if self.writes:
            self.before = made

    def function(self, indent, head, env, depth, first=None):
        """A function of some steps: the name of its result and of the step before it."""
        self.lines.append(f"{indent}def {head}:")
        indent, outside, self.before = indent + "    ", self.before, first
        env = list(env)
        for _ in range(self.random.randint(1, 3)):
            env.append(self.step(env, indent, depth))
        if self.writes and self.random.random() < 0.5:
            written = self.name()
            value = f"tf.tanh(v.read_value() + {env[-1]})"
            self.emit(indent, written, f"tf.identity(tf.assign(v, {value}))")
        result = self.name()
        self.emit(indent, result, f"tf.identity({env[-1]})")
        self.before = outside
        return result, env[-2], indent

    def conditional(self, env, indent, depth, made, a):
        branches = [self.name("f"), self.name("f")]
        for f in branches:
            result, _, inner = self.function(indent, f"{f}()", env, depth - 1)
            self.lines.append(f"{inner}return {result}")
        least = self.random.choice(["0.0", "0.3", "-0.5"])
        self.emit(indent, made, f"tf.cond(tf.reduce_sum({a}) > {least}, {', '.join(branches)})")

    def step(self, env, indent, depth):
        kind = self.random.random() if depth else 0.0
        a, b = self.random.choice(env), self.random.choice(env)
        made = self.name()
        if kind < 0.4:
            steps = WRITES if self.writes and self.random.random() < 0.25 else STEPS
            self.emit(indent, made, self.random.choice(steps).format(a=a, b=b))
        elif kind < 0.6:
            self.conditional(env, indent, depth, made, a)
        elif kind < 0.85 or self.writes:
            f = self.name("f")
            own = f"p_{f}", f"q_{f}"
            head = f"{f}(i, {', '.join(own)})"
            result, before, inner = self.function(indent, head, [*env, *own], depth - 1, own[0])
            other = self.random.choice([*own, f"tf.tanh({before})"])
            self.lines.append(f"{inner}return i + 1, tf.tanh({result}), {other}")
            most = self.random.randint(0, 3)
            test = self.random.choice(["", " & (tf.reduce_sum(p) < 2.5)"])
            # the other result may be there before the last trip has written
            third = not self.writes and self.random.random() < 0.2
            self.emit(
                indent,
                made,
                f"tf.while_loop(lambda i, p, q: (i < {most}){test}, {f}, [0, {a}, {b}], "
                "parallel_iterations=1)",
                "*_, {}" if third else "*_, {}, _",
            )
        else:
            f = self.name("f")
            own = f"p_{f}", f"q_{f}"
            result, _, inner = self.function(
                indent, f"{f}({', '.join(own)})", [*env, *own], depth - 1
            )
            self.lines.append(f"{inner}return tf.tanh({result})")
            rows = f"tf.stack([{a}, {b}, {a} * 0.5])"
            over = (
                f"tf.scan({f}, {rows}, initializer={b})[-1]",
                f"tf.foldr({f}, {rows}, initializer={b})",
                f"tf.reduce_sum(tf.map_fn(lambda row: {f}(row, {a}), {rows}), 0)",
            )
            self.emit(indent, made, self.random.choice(over))
        return made


class RowsWriter(Writer):
    """Writes the text of a program of tensors with two columns, whose rows come and go."""

    start = CHOSEN

    def chooses_to_write(self):
        return False

    def step(self, env, indent, depth):
        kind = self.random.random() if depth else 0.0
        a, b = self.random.choice(env), self.random.choice(env)
        made = self.name()
        if kind < 0.45:
            steps = [*ROW_STEPS, "chosen({a})"]
            self.emit(indent, made, self.random.choice(steps).format(a=a, b=b))
        elif kind < 0.65:
            self.conditional(env, indent, depth, made, a)
        else:
            f = self.name("f")
            own = f"p_{f}", f"q_{f}"
            head = f"{f}(i, {', '.join(own)})"
            result, before, inner = self.function(indent, head, [*env, *own], depth - 1)
            other = self.random.choice([*own, f"tf.tanh({before})"])
            self.lines.append(f"{inner}return i + 1, tf.tanh({result}), {other}")
            most = self.random.randint(0, 3)
            test = self.random.choice(["", " & (tf.reduce_sum(p) < 2.5)"])
            rows = "tf.TensorShape([None, 2])"
            self.emit(
                indent,
                made,
                f"tf.while_loop(lambda i, p, q: (i < {most}){test}, {f}, [0, {a}, {b}], "
                f"[tf.TensorShape([]), {rows}, {rows}])",
                self.random.choice(["*_, {}, _", "*_, {}"]),
            )
        return made


def program(seed):
    """The text of a program that takes x and y, of shape [3], and leaves its results in ``out``."""
    return Writer(seed).text


def program_of_rows(seed):
    """The same of x and y of shape [?, 2]."""
    return RowsWriter(seed).text
