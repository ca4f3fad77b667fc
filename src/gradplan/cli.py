"""The command ``gradplan``: train a network on a table of numbers, from start to checkpoint.

``gradplan train`` with no options learns the handwritten digits that ship with the package. This
file is also meant to be read: :func:`build` describes the network as any graph program does, and
:func:`train` is the whole loop around it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

import gradplan as tf
from gradplan.datasets import Table, load_digits, load_table

ACTIVATIONS: dict[str, Callable[..., tf.Tensor]] = {
    "relu": tf.nn.relu,
    "tanh": tf.nn.tanh,
    "sigmoid": tf.nn.sigmoid,
    "softplus": tf.nn.softplus,
}
OPTIMIZERS: dict[str, Callable[[float], Any]] = {  # each with the rate it is given by default
    "adam": tf.train.AdamOptimizer,
    "sgd": tf.train.GradientDescentOptimizer,
    "momentum": lambda rate: tf.train.MomentumOptimizer(rate, 0.9),
}
LEARNING_RATES = {"adam": 0.001, "sgd": 0.05, "momentum": 0.01}
SAVE_SECONDS = 10.0  # a long training saves at the end of an epoch, but no oftener than this


class UsageError(Exception):
    """What the user asked for cannot be done; the message is one line."""


# --------------------------------------------------------------------------------- the network


class Model(NamedTuple):
    """The tensors and operations of the graph that the training loop uses."""

    x: tf.Tensor  # [batch, features], as they come in the table
    y: tf.Tensor  # [batch]: class numbers, or values in their own unit
    prediction: tf.Tensor  # [batch]: the same
    loss: tf.Tensor  # []
    metric: tf.Tensor  # []: accuracy, or root of the mean squared error
    train_op: tf.Operation
    global_step: tf.Variable
    settings: tf.Variable  # what has to be equal for a training to be continued


def build(table: Table, train_rows: np.ndarray, settings: np.ndarray, args: Any) -> Model:
    """Describe network, loss and training step in the default graph."""

    def frozen(name: str, value: Any, dtype: Any = np.float32) -> tf.Variable:
        """Keep a constant in a variable, so that the checkpoint is complete by itself."""
        return tf.Variable(np.asarray(value, dtype), trainable=False, name=name)

    features = table.features[train_rows].astype(np.float64)
    x = tf.placeholder(tf.float32, [None, features.shape[1]], "x")
    middle, spread = _standard(features)
    mean, scale = frozen("input/mean", middle), frozen("input/scale", spread)

    hidden = (x - mean) / scale
    activation = ACTIVATIONS[args.activation]
    outputs = len(table.classes) if table.classes else 1
    for i, units in enumerate([*args.hidden, outputs]):
        with tf.variable_scope(f"layer{i + 1}"):
            kernel = tf.get_variable("kernel", [int(hidden.shape[1]), units])  # Glorot's uniform
            bias = tf.get_variable("bias", [units], initializer=tf.zeros_initializer())
            hidden = tf.matmul(hidden, kernel) + bias
            if i < len(args.hidden):
                hidden = activation(hidden)

    if table.classes:
        y = tf.placeholder(tf.int64, [None], "y")
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=hidden)
        loss = tf.reduce_mean(losses)
        prediction = tf.argmax(hidden, 1)
        metric = tf.reduce_mean(tf.cast(tf.equal(prediction, y), tf.float32))
    else:
        y = tf.placeholder(tf.float32, [None], "y")
        middle, spread = _standard(table.target[train_rows])
        target_mean, target_scale = frozen("target/mean", middle), frozen("target/scale", spread)
        output = tf.reshape(hidden, [-1])
        loss = tf.reduce_mean(tf.square(output - (y - target_mean) / target_scale))
        prediction = output * target_scale + target_mean
        metric = tf.sqrt(loss) * target_scale

    global_step = tf.Variable(0, trainable=False, name="global_step", dtype=tf.int64)
    optimizer = OPTIMIZERS[args.optimizer](args.learning_rate)
    train_op = optimizer.minimize(loss, global_step=global_step)
    kept = frozen("settings", settings, np.int64)
    return Model(x, y, prediction, loss, metric, train_op, global_step, kept)


def _standard(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what to subtract from each column, and what to divide it by then.

    Pictures and the like, which lie between 0 and 1 as a whole, stay as they are: to stretch their
    almost constant columns would only make noise louder.
    """
    if values.ndim == 2 and values.min() >= 0 and 0.5 < values.max() <= 1:
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    deviation = np.asarray(values.std(axis=0))
    return values.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


# --------------------------------------------------------------------------------- the training


def train(table: Table, args: argparse.Namespace) -> int:
    """Train on a part of the table, save, test on the rest and print what came of it."""
    order = np.random.default_rng(args.seed).permutation(len(table.features))
    n_test = round(len(order) * args.test_fraction)
    test_rows, train_rows = order[:n_test], order[n_test:]
    if not len(test_rows) or not len(train_rows):
        raise UsageError(f"{len(order)} rows are too few for --test-fraction {args.test_fraction}")
    batch = min(args.batch_size, len(train_rows))
    per_epoch = len(train_rows) // batch  # rows left over wait for another epoch's permutation
    total = args.epochs * per_epoch
    settings = np.array([len(order), n_test, batch, args.seed])

    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(args.seed)
        model = build(table, train_rows, settings, args)
        sess.run(tf.global_variables_initializer())
        saver = tf.train.Saver()
        if args.resume:
            restore(sess, saver, model, settings, args.checkpoint)
        step = sess.make_callable([model.loss, model.metric, model.train_op], [model.x, model.y])
        features = table.features
        target: np.ndarray = table.target.astype(model.y.dtype.as_numpy_dtype)

        def save() -> str:
            prefix = os.path.join(args.checkpoint, "model")
            return saver.save(sess, prefix, global_step=model.global_step)

        first = done = int(sess.run(model.global_step))
        if first >= total:
            raise UsageError(f"{first} steps are done already: --epochs {args.epochs} adds none")
        seconds, saved = 0.0, time.monotonic()
        progress = Progress(args, "accuracy" if table.classes else "rmse", total, first)
        try:
            for epoch in range(done // per_epoch, args.epochs):
                # The permutation depends on seed and epoch alone, so that a training which was
                # stopped anywhere goes on with the very rows that it would have had.
                rows = np.random.default_rng([args.seed, epoch]).permutation(train_rows)
                sums = np.zeros(2)
                start, begun = done % per_epoch, time.perf_counter()
                for i in range(start, per_epoch):
                    part = rows[i * batch : (i + 1) * batch]
                    sums += step(features[part], target[part])[:2]
                    progress.advance()
                done = (epoch + 1) * per_epoch
                seconds += time.perf_counter() - begun
                loss, metric = sums / (per_epoch - start)
                if not np.isfinite(loss):
                    raise UsageError(f"the loss is {loss} in epoch {epoch + 1}: it diverges; try a "
                                     f"--learning-rate below {args.learning_rate}")  # fmt: skip
                progress.show(epoch + 1, loss, metric)
                if time.monotonic() - saved > SAVE_SECONDS:
                    save()
                    saved = time.monotonic()
            path = save()
        except KeyboardInterrupt:
            progress.close()
            print(f"gradplan: stopped; --resume goes on from {save()}.npz", file=sys.stderr)
            return 130
        progress.close()

        predict = sess.make_callable(model.prediction, [model.x])
        guess, truth = predict(features[test_rows]), table.target[test_rows]
        parameters = sess.run(tf.trainable_variables())

    sizes = [table.features.shape[1], *args.hidden, len(table.classes or [0])]
    shape = "-".join(map(str, sizes))
    print(f"network         {shape}, {args.activation}, {args.optimizer}")
    print(f"rows            {len(train_rows)} to train on, {n_test} to test, {batch} a step")
    print_quality(guess, truth, table.classes is not None)
    rate = (done - first) / seconds
    print(f"steps           {done - first} in {seconds:.2f} s, {rate:.0f} steps per second")
    plan = step.plan
    assert plan is not None, "the step has run, so it has a plan"
    print(f"arena           {plan.arena_bytes} bytes; live-set bound {plan.live_bytes} bytes")
    print(f"parameters      crc32 {checksum(parameters):08x} (same seed, same bits)")
    print(f"checkpoint      {path}.npz")
    return 0


def restore(sess: Any, saver: Any, model: Model, settings: np.ndarray, directory: str) -> None:
    """Go back to the latest checkpoint, if it is one of this very training."""
    latest = tf.train.latest_checkpoint(directory)
    if latest is None:
        raise UsageError(f"nothing to resume: there is no checkpoint in {directory}")
    saver.restore(sess, latest)
    names = ("number of rows", "number of test rows", "batch size", "seed")
    for name, was, now in zip(names, sess.run(model.settings), settings, strict=True):
        if was != now:
            raise UsageError(f"{latest}.npz is of another training: its {name} is {was}, not {now}")


def print_quality(guess: np.ndarray, truth: np.ndarray, classes: bool) -> None:
    """Print how good the predictions on the rows kept back are."""
    if classes:
        right = int((guess == truth).sum())
        print(f"test accuracy   {right / len(truth):.4f} ({right} of {len(truth)})")
        return
    error = np.mean((guess - truth) ** 2)
    spread = np.var(truth)
    print(f"test RMSE       {np.sqrt(error):.6g}")
    print(f"test R^2        {1 - error / spread if spread else np.nan:.4f}")


def checksum(arrays: Sequence[np.ndarray]) -> int:
    """Return one number that changes with any bit of any parameter."""
    value = 0
    for array in arrays:
        value = zlib.crc32(array.tobytes(), value)
    return value


class Progress:
    """A progress bar where tqdm is installed, else a line for every epoch; on standard error."""

    def __init__(self, args: argparse.Namespace, metric: str, total: int, done: int) -> None:
        self.metric, self.epochs, self.quiet = metric, args.epochs, args.quiet
        self.bar: Any = None
        if not self.quiet:
            try:
                from tqdm import tqdm
            except ImportError:
                return
            pause = 0.1 if sys.stderr.isatty() else 1.0
            self.bar = tqdm(total=total, initial=done, unit="step", mininterval=pause)

    def advance(self) -> None:
        if self.bar is not None:
            self.bar.update()

    def show(self, epoch: int, loss: float, metric: float) -> None:
        if self.bar is not None:
            text = f"epoch {epoch}/{self.epochs} loss {loss:.4f} {self.metric} {metric:.4f}"
            self.bar.set_description_str(text, refresh=False)
        elif not self.quiet:
            text = f"epoch {epoch}/{self.epochs}: loss {loss:.4f}, {self.metric} {metric:.4f}"
            print(text, file=sys.stderr)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


# --------------------------------------------------------------------------------- the command


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """A help text that gives defaults, but not of switches."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is False else super()._get_help_string(action)


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a converter of whole numbers within bounds."""

    def convert(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"wanted a whole number from {low} to {high}, not {text!r}"
            )
        return value

    return convert


def real(accept: Callable[[float], bool], what: str) -> Callable[[str], float]:
    """Return a converter of real numbers that ``accept`` takes."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not accept(value):
            raise argparse.ArgumentTypeError(f"wanted a number {what}, not {text!r}")
        return value

    return convert


def layers(text: str) -> list[int]:
    """Convert ``"128,64"``; the empty string is a model without hidden layers."""
    return [whole(1, 2**20)(part.strip()) for part in text.split(",")] if text.strip() else []


def parser() -> Parser:
    """Describe the command line."""
    top = Parser(prog="gradplan", description=(tf.__doc__ or "").partition("\n")[0] or None)
    top.add_argument("--version", action="version", version=f"gradplan {tf.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    p = commands.add_parser(
        "train",
        help="train a network on a table and save it",
        description="Train a network on the bundled handwritten digits or on a table of your own.",
        epilog="A target of words, or of at most 100 different integers, is classified, any other "
        "one is predicted as a number. The same seed gives the same parameters, bit for bit. A "
        "progress bar is shown where tqdm is installed; without it, a line for every epoch. "
        "Ctrl-C saves before it ends.",
        formatter_class=Help,
    )
    add = p.add_argument
    add("--data", default="digits", metavar="digits|FILE.csv|FILE.npz", help="what to learn")
    where = "column or array to predict (default: a CSV file's last column, an archive's y)"
    add("--target", metavar="NAME", help=where, default=argparse.SUPPRESS)
    add("--hidden", type=layers, default="128,64", metavar="N,N,...", help="units of each layer")
    add("--activation", choices=ACTIVATIONS, default="relu", help="of the hidden layers")
    add("--epochs", type=whole(1, 10**9), default=100, metavar="N", help="in all, resumed or not")
    add("--batch-size", type=whole(1, 10**9), default=32, metavar="N", help="rows in a step")
    add("--optimizer", choices=OPTIMIZERS, default="adam", help="how to step")
    rates = ", ".join(f"{name} {rate}" for name, rate in LEARNING_RATES.items())
    add("--learning-rate", type=real(lambda v: 0 < v < np.inf, "above 0"), metavar="X",
        help=f"(default: {rates})", default=argparse.SUPPRESS)  # fmt: skip
    add("--seed", type=whole(0, 2**31 - 1), default=0, metavar="N", help="of all that is random")
    add("--test-fraction", type=real(lambda v: 0 < v < 1, "between 0 and 1"), default=0.2,
        metavar="X", help="of the rows, kept back to test on")  # fmt: skip
    add("--checkpoint", default="checkpoints", metavar="DIR", help="where to save")
    add("--resume", action="store_true", help="go on from the latest checkpoint there")
    add("--quiet", action="store_true", help="show no progress")
    return top


def load(data: str, target: str | None) -> Table:
    """Read what ``--data`` names."""
    if data == "digits":
        if target is not None:
            raise UsageError("--target is for files; the digits have one target")
        images, labels = load_digits()
        pixels = tuple(f"pixel{i}" for i in range(64))
        return Table(images, labels, tuple("0123456789"), pixels)
    try:
        return load_table(data, target)
    except ValueError as error:
        raise UsageError(str(error)) from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, without the program's name. Default: the process's own.

    Returns
    -------
    int
        The exit code: 0, 2 for anything wrong that was asked (with one line on standard error), or
        130 for Ctrl-C (with the checkpoint saved).
    """
    try:
        args = parser().parse_args(argv)
        args.learning_rate = getattr(args, "learning_rate", LEARNING_RATES[args.optimizer])
        table = load(args.data, getattr(args, "target", None))
        os.makedirs(args.checkpoint, exist_ok=True)
        return train(table, args)
    except (UsageError, tf.errors.OpError) as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except MemoryError:
        message = "not enough memory"
    except KeyboardInterrupt:
        return 130
    print("gradplan: error:", " ".join(message.split()), file=sys.stderr)
    return 2
