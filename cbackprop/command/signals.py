"""Signal handlers: SIGINT (Ctrl-C) and SIGTERM both end a command in order."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM, which then acts like Ctrl-C."""


def terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


class SignalGuard:
    """A handler of SIGINT and SIGTERM: the first signal while it is armed raises; all others are ignored."""

    armed = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.armed:
            self.armed = False
            terminate(number, frame)


@contextmanager
def signal_handler(handler: Callable[[int, FrameType | None], None], *numbers: signal.Signals) -> Iterator[None]:
    """Install a signal handler for the duration of a with statement."""
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, previous[number])
