"""All of gradplan, for programs that say ``import tensorflow.compat.v1 as tf``.

>>> import gradplan.compat.v1 as tf
>>> tf.disable_v2_behavior()
>>> tf.__version__.split(".")[0]
'1'
>>> with tf.Session() as sess:
...     print(sess.run(tf.constant(1.0) + 1.0))
2.0

``__version__`` is that of the TensorFlow whose names these are, as programs ask for it;
``gradplan.__version__`` is gradplan's own.
"""

from __future__ import annotations

from typing import Any

import gradplan
from gradplan.porting import VERSION as __version__  # noqa: F401


def __getattr__(name: str) -> Any:
    try:
        return getattr(gradplan, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(gradplan)})
