"""Signals that end this program, kept waiting while something must not be broken off."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def postponed(*, patient: bool = True) -> Iterator[list[int]]:
    """Signals that end this program come when the context is left.

    Args:
        patient: the second one waits too; else it comes at once, for what is waited for may never end.

    Yields:
        Those that came and wait; one that is taken away does not come.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        handler = before[signal.Signals(number)]
        if len(came) > 1 and not patient and callable(handler):
            came.clear()
            handler(number, frame)

    before = {number: signal.getsignal(number) for number in _ENDING}
    for number in before:
        signal.signal(number, note)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for one in dict.fromkeys(came):
            signal.raise_signal(one)
