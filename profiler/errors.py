"""The family of errors that a person can act on: each has a message, a hint, and an exit code."""

from __future__ import annotations


class ProfilerError(Exception):
    """Something went wrong that the person should hear about.

    `message` says what happened in one sentence; `hint` says what to do about it. Raised where it
    goes wrong, caught once: by the command line's `main` and at the window's border.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ModelFileError(ProfilerError):
    """The file can't be read as a model: missing, empty, truncated, of another kind."""

    exit_code = 3


class UnsafeModelError(ModelFileError):
    """Loading the file would run code that it carries."""

    exit_code = 4


class ConversionError(ProfilerError):
    """The model could not be brought into the other engine's form."""

    exit_code = 5


class InputError(ProfilerError):
    """An input's name, shape, dtype or data does not fit the model."""

    exit_code = 6


class EngineError(ProfilerError):
    """An engine refused the model or an option, failed while it ran, or its process died."""

    exit_code = 7


class SessionFileError(ProfilerError):
    """A session file can't be read or written."""

    exit_code = 8


class PlanError(ProfilerError):
    """A run plan asks for a combination that is not possible here."""

    exit_code = 2


class CancelledError(ProfilerError):
    """The person asked to stop. What was measured is kept."""

    exit_code = 130


def rebuild(name: str, message: str, hint: str = "") -> ProfilerError:
    """An error that a child process named, as its own class here; EngineError for any other."""
    kind = globals().get(name)
    if isinstance(kind, type) and issubclass(kind, ProfilerError):
        return kind(message, hint)
    return EngineError(message, hint)
