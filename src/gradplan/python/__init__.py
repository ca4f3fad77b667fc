"""``tf.python``: the private modules of TensorFlow that programs import from."""

from gradplan.python import client, framework, ops, platform, training, util

__all__ = ["client", "framework", "ops", "platform", "training", "util"]
