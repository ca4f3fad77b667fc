"""The parts of Keras that are no layers or models: ``gp.keras.initializers``."""

from gradplan.keras import initializers

__all__ = ["initializers"]
