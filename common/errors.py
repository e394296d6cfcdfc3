"""The errors a person may read: each says what happened and what to do about it."""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_ALREADY_RUNNING = 75
EXIT_CONFIG = 78


class MeshError(Exception):
    """Base of every error whose message is written for its reader.

    `code` is the machine word in an HTTP error body, `status` its HTTP status and
    `exit_code` what a program ends with when nobody handles it.
    """

    code: ClassVar[str] = "failed"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(MeshError):
    """The configuration, or a file or permission it names, must be mended by hand."""

    code = "config"
    exit_code = EXIT_CONFIG


class AlreadyRunningError(MeshError):
    """Another process holds this daemon's lock."""

    code = "already_running"
    exit_code = EXIT_ALREADY_RUNNING
