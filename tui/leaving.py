"""Leaving in every case: a closed terminal, one that takes nothing any more, a hub that hangs.

The orderly end needs the event loop, and that stands still while Textual waits for its writer,
which waits for the terminal. So a thread of its own sees to it that the process ends: it hears of
every request to leave, looks whether the terminal is still there, and after a grace restores what
it can and ends the process without asking anybody.
"""

from __future__ import annotations

import logging
import os
import signal
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

logger = logging.getLogger(__name__)

GRACE_S = 2.0
LOOK_S = 0.5
RESTORE = (
    b"\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # mouse
    b"\x1b[?2004l\x1b[?2048l\x1b[?1004l\x1b[<u"  # paste, resize, focus, keyboard
    b"\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m"
)


class Leaving:
    """`begin` starts the grace; `watch` begins it for a signal or a terminal that is gone.

    `input_fd` and `output_fd` are the terminal's. `end` is `os._exit` but for tests.
    """

    def __init__(
        self,
        input_fd: int,
        output_fd: int,
        *,
        grace_s: float = GRACE_S,
        look_s: float = LOOK_S,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._input_fd, self._output_fd = input_fd, output_fd
        self._grace_s, self._look_s, self._end = grace_s, look_s, end
        self._asked = threading.Event()
        self._orderly: Callable[[int], None] | None = None
        self._code = 0
        self._attributes: list[int | list[bytes | int]] | None = None
        with suppress(termios.error):
            self._attributes = termios.tcgetattr(input_fd)

    def watch(self) -> None:
        """Take the signals over and start the thread; called in the main thread, once."""
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._on_signal)
        threading.Thread(target=self._run, name="leaving", daemon=True).start()

    def when_asked(self, orderly: Callable[[int], None]) -> None:
        """`orderly` ends the application; called with the exit code, in any thread."""
        self._orderly = orderly
        if self._asked.is_set():
            orderly(self._code)

    def begin(self, code: int) -> None:
        """From now on the process has `grace_s` to end; the first code counts."""
        if not self._asked.is_set():
            self._code = code
            self._asked.set()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._leave(128 + number)

    def _leave(self, code: int) -> None:
        self.begin(code)
        if self._orderly is not None:
            self._orderly(self._code)

    def _run(self) -> None:
        # Restoring the terminal from the background must not stop this process instead.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU, signal.SIGTTIN})
        while not self._asked.wait(self._look_s):
            if self._terminal_is_gone():
                logger.info("leaving", extra={"reason": "the terminal is gone"})
                self._leave(128 + signal.SIGHUP)
        threading.Event().wait(self._grace_s)
        self._restore()
        self._end(self._code)

    def _terminal_is_gone(self) -> bool:
        try:
            termios.tcgetattr(self._input_fd)
        except (termios.error, OSError):
            return True
        return False

    def _restore(self) -> None:
        """As far as the terminal takes it without waiting: through a description of its own, for
        the shell shares ours and must not find it non-blocking."""
        with suppress(OSError, termios.error):
            own = os.open(os.ttyname(self._output_fd), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            with suppress(OSError):
                os.write(own, RESTORE)
            os.close(own)
        if self._attributes is not None:
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._input_fd, termios.TCSANOW, self._attributes)
