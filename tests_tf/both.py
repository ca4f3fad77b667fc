"""What both processes do alike: build a program given as text, run it, differentiate it, report.

TensorFlow's process imports this without gradplan, gradplan's without TensorFlow; the text calls
either by the name ``tf``.
"""

import numpy as np

ERRORS_KEPT = 300


def evaluate(tf, text, arrays, known=True, orders=2, run=True):
    """Execute ``text``, which leaves its result in ``out``, and tell all that there is to compare.

    Parameters
    ----------
    tf : module
    text : str
        Python statements; may use ``tf``, ``np`` and the names in ``arrays``.
    arrays : dict of str to ndarray
        What is fed; each is a placeholder of its own name.
    known : bool or None
        Whether the placeholders tell their dimensions; None: not even their rank.
    orders : int
        Derivatives to take: of a random projection of the floats in ``out`` with respect to the
        floats in ``arrays``, and of a random projection of these again.
    run : bool
        Whether to run what is built.

    Returns
    -------
    dict
        ``names``, ``dtypes`` and ``shapes`` of the tensors in ``out``; ``values``; ``first`` and
        ``second``: derivatives, None where there is none, or the name of an exception; ``error``:
        (stage, class, message), where one was raised.
    """
    found = {"error": None}
    graph = tf.Graph()
    with graph.as_default():
        feeds = {name: placeholder(tf, name, a, known) for name, a in arrays.items()}
        space = {"tf": tf, "np": np, **feeds}
        try:
            exec(text, space)  # the test's own text
            outs = leaves(space["out"])
        except Exception as error:
            return {**found, "error": told("build", error)}
        found["names"] = [getattr(t, "name", repr(t)) for t in outs]
        outs = [t for t in outs if hasattr(t, "dtype")]  # without operations
        found["dtypes"] = [dtype(t) for t in outs]
        found["shapes"] = [dims(t) for t in outs]
        if not run:
            return found
        fed = {feeds[name]: a for name, a in arrays.items()}
        with tf.Session(graph=graph) as session:
            try:
                session.run(tf.global_variables_initializer())
                found["values"] = [ordinary(v) for v in session.run(outs, fed)]
            except Exception as error:
                return {**found, "error": told("run", error)}
            xs = [feeds[name] for name, a in arrays.items() if a.dtype.kind == "f"]
            ys = [p for p in zip(outs, found["values"], strict=True) if dtype(p[0]) in FLOATS]
            for key in ("first", "second")[:orders]:
                found[key] = derive(tf, session, fed, xs, ys)
                if isinstance(found[key], str):
                    break
                ys = [(t, v) for t, v, _ in found[key] if t is not None]
        for key in ("first", "second"):
            if isinstance(found.get(key), list):
                found[f"{key} names"] = [n for _, _, n in found[key]]
                found[key] = [v for _, v, _ in found[key]]
    return found


def placeholder(tf, name, array, known):
    shape = None if known is None else [n if known else None for n in array.shape]
    return tf.placeholder(array.dtype.name, shape, name=name)


def leaves(value):
    """The tensors in a nest, and what has none as it is."""
    if isinstance(value, dict):
        value = [value[k] for k in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    if hasattr(value, "dense_shape"):
        return [value.indices, value.values, value.dense_shape]
    return [] if value is None else [value]


FLOATS = ("float32", "float64")


def dtype(tensor):
    return tensor.dtype.base_dtype.name


def dims(tensor):
    shape = tensor.get_shape()
    return None if shape.ndims is None else shape.as_list()


def ordinary(value):
    """A value in a type that needs no more than NumPy; its own type is told beside it."""
    value = np.asarray(value)
    return value.astype(np.float32) if value.dtype.kind == "V" else value


def derive(tf, session, fed, xs, ys):
    """(tensor, value, class and name) for each of ``xs``, or the name of the exception."""
    if not ys or not xs:
        return [(None, None, None) for _ in xs]
    rng = np.random.default_rng(5)
    try:
        weights = [rng.standard_normal(np.shape(v)).astype(np.asarray(v).dtype) for _, v in ys]
        got = tf.gradients([t for t, _ in ys], xs, grad_ys=[tf.constant(w) for w in weights])
        called = [None if g is None else [isinstance(g, tf.IndexedSlices), g.name] for g in got]
        got = [None if g is None else tf.convert_to_tensor(g) for g in got]
        values = iter(session.run([g for g in got if g is not None], fed))
        values = [None if g is None else next(values) for g in got]
        return list(zip(got, values, called, strict=True))
    except Exception as error:
        return type(error).__name__


#: Where TensorFlow 2 raises what TensorFlow 1 did not have: the class that it is derived from.
OLDER = {"OperatorNotAllowedInGraphError": "TypeError"}


def told(stage, error):
    name = type(error).__name__
    return stage, OLDER.get(name, name), " ".join(str(error).split())[:ERRORS_KEPT]
