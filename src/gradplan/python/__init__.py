"""``tf.python``: the private modules of TensorFlow that programs import from."""

from gradplan.python import training

__all__ = ["training"]
