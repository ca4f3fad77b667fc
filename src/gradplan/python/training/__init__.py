"""``tf.python.training``."""

from gradplan.python.training import moving_averages

__all__ = ["moving_averages"]
