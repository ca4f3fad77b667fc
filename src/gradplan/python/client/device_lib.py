"""``tf.python.client.device_lib``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

__all__ = ["list_local_devices"]


def list_local_devices(session_config: Any = None) -> list[Any]:
    """The devices: one CPU.

    Examples
    --------
    >>> import gradplan as gp
    >>> [d.device_type for d in gp.python.client.device_lib.list_local_devices()]
    ['CPU']
    """
    return [SimpleNamespace(name="/device:CPU:0", device_type="CPU", physical_device_desc="")]
