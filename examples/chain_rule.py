"""The chain rule on a graph: sum over all paths, product along each.

How much does ``a`` change with ``b``? Every path of operations from ``b`` to ``a`` carries a part
of the change. Each edge of a path multiplies it by the derivative of the operation's output with
respect to that one input, the other inputs held still; and the parts of all paths add up:

    d(a)/d(b) = sum over paths from b to a of the product of the edges' derivatives

That sum has a term for every path, and there may be exponentially many. ``tf.gradients`` finds the
same number by going through each operation once, from ``a`` backwards (reverse mode): it adds up
what arrives at a tensor before it goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import gradplan as tf

Edge = tuple[tf.Operation, int]  # an operation, and which of its inputs

# For each type of operation, the derivative of its output with respect to each input.
DERIVATIVES = {
    "Add": lambda x, y: (1.0, 1.0),
    "Sub": lambda x, y: (1.0, -1.0),
    "Mul": lambda x, y: (y, x),
    "Exp": lambda x: (math.exp(x),),
    "Tanh": lambda x: (1 - math.tanh(x) ** 2,),
}


def paths(a: tf.Tensor, b: tf.Tensor) -> Iterator[list[Edge]]:
    """Walk the graph from ``a`` back to ``b`` in every possible way."""
    if a is b:
        yield []
        return
    for i, tensor in enumerate(a.op.inputs):
        for path in paths(tensor, b):
            yield [*path, (a.op, i)]


def main() -> dict[str, float]:
    """Compute the derivative of a small expression both ways."""
    with tf.Graph().as_default(), tf.Session() as sess:
        b = tf.placeholder(tf.float64, [], "b")
        c = tf.exp(b)
        d = tf.multiply(b, c)
        e = tf.subtract(d, tf.tanh(c))
        a = tf.add(tf.multiply(e, d), tf.multiply(b, b))

        feed = {b: 0.5}
        found = list(paths(a, b))
        total = 0.0
        for path in found:
            product = 1.0
            for op, i in path:
                product *= DERIVATIVES[op.type](*sess.run(list(op.inputs), feed))[i]
            total += product
            route = " -> ".join(["b", *(op.name for op, _ in path)])
            print(f"{product:10.6f}  {route}")
        gradient = float(sess.run(tf.gradients(a, b)[0], feed))
    print(f"{total:10.6f}  the sum over {len(found)} paths\n{gradient:10.6f}  tf.gradients")
    return {"paths": len(found), "sum": float(total), "gradients": gradient}


if __name__ == "__main__":
    main()
