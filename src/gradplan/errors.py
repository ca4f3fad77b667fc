"""The exceptions of TensorFlow 1's ``errors`` module, by the same names.

An error that a run or a plan raises is an :class:`OpError`: it carries the operation at fault
(``.op``) and its text names the operation, the shapes or values, and the line of
the user's program that made the operation. Mistakes made while a graph is built are Python's own
``ValueError`` and ``TypeError``, as in TensorFlow 1.
"""

from __future__ import annotations

from typing import Any


class OpError(Exception):
    """Base of all errors raised while a plan is made or run.

    Parameters
    ----------
    node_def : object
        Always None here; kept so that the signature is TensorFlow 1's.
    op : Operation or None
        The operation at fault, where one is.
    message : str
        What went wrong, with which values, where, and what to do.
    """

    error_code = 2

    def __init__(self, node_def: Any, op: Any, message: str) -> None:
        super().__init__(message)
        self.node_def = node_def
        self.op = op
        self.message = message


class CancelledError(OpError):
    """The run was cancelled."""

    error_code = 1


class UnknownError(OpError):
    """An error of no other class."""

    error_code = 2


class InvalidArgumentError(OpError):
    """An operation was given a value it cannot take: a missing feed, a label out of range."""

    error_code = 3


class DeadlineExceededError(OpError):
    """A deadline passed before the run finished."""

    error_code = 4


class NotFoundError(OpError):
    """A checkpoint file, or a variable inside one, does not exist."""

    error_code = 5


class AlreadyExistsError(OpError):
    """Something that should be made exists already."""

    error_code = 6


class PermissionDeniedError(OpError):
    """The system refused the access."""

    error_code = 7


class ResourceExhaustedError(OpError, MemoryError):
    """Not enough memory for the arena or a buffer; a MemoryError too."""

    error_code = 8


class FailedPreconditionError(OpError):
    """The system is not in the state the operation needs: a variable was never initialised."""

    error_code = 9


class AbortedError(OpError):
    """The run was aborted."""

    error_code = 10


class OutOfRangeError(OpError):
    """An iteration went past the end of its data."""

    error_code = 11


class UnimplementedError(OpError):
    """The operation has no kernel for these types or shapes."""

    error_code = 12


class InternalError(OpError):
    """A promise inside gradplan was broken; please report it."""

    error_code = 13


class UnavailableError(OpError):
    """A service is not available."""

    error_code = 14


class DataLossError(OpError):
    """A checkpoint file is damaged, truncated, foreign or pickled."""

    error_code = 15


class UnauthenticatedError(OpError):
    """The caller has no valid credentials."""

    error_code = 16


OK = 0
_CLASSES = {c.error_code: c for c in OpError.__subclasses__()}
CANCELLED = CancelledError.error_code
UNKNOWN = UnknownError.error_code
INVALID_ARGUMENT = InvalidArgumentError.error_code
DEADLINE_EXCEEDED = DeadlineExceededError.error_code
NOT_FOUND = NotFoundError.error_code
ALREADY_EXISTS = AlreadyExistsError.error_code
PERMISSION_DENIED = PermissionDeniedError.error_code
RESOURCE_EXHAUSTED = ResourceExhaustedError.error_code
FAILED_PRECONDITION = FailedPreconditionError.error_code
ABORTED = AbortedError.error_code
OUT_OF_RANGE = OutOfRangeError.error_code
UNIMPLEMENTED = UnimplementedError.error_code
INTERNAL = InternalError.error_code
UNAVAILABLE = UnavailableError.error_code
DATA_LOSS = DataLossError.error_code
UNAUTHENTICATED = UnauthenticatedError.error_code


def exception_type_from_error_code(error_code: int) -> type[OpError]:
    """The class with this code; KeyError if there is none."""
    return _CLASSES[error_code]


def error_code_from_exception_type(cls: type[OpError]) -> int:
    """The code of a class."""
    return cls.error_code
