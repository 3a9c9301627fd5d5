"""Runs the program again and again, each time in a fork of this process, and stops it wherever it is told to.

It is told one run per line on standard input, and answers with lines of JSON: the process's ID, that it stopped, and
how it ended. What is imported here costs a run nothing, so that hundreds of them are cheap.

A run is stopped by SIGSTOP to itself: at an event, which is a call or a return of the program's own functions, or of C
functions in them, counted from its start (`before`) or from when it goes on with a promotion (`moving`); or at a point,
such as the third return of `mark` in `promotions.py`.
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import builder
from builder.cli import app

_PACKAGE = str(Path(builder.__file__).parent)
_BEGINS = frozenset({("promotions.py", "plan"), ("settling.py", "settle")})
"""Where a run goes on with a promotion."""
_QUICK = {"answer": 20.0, "connect": 5.0, "tries": 2, "pause": 0.02, "longest": 0.2}
"""Patience with a registry that fails."""
_ALSO = ("rich.table", "rich.console", "httpx", "httpx_retries", "pydantic", "ssl", "tomllib", "getpass")
_WITHOUT = ("builder.__main__", "builder.gates", "builder.image.compile")


class Steering:
    """Counts a run's events, and stops it at one of them.

    Args:
        stop: `phase` and `event`; or `file`, `function`, `kind` and `nth`; empty never stops.
    """

    def __init__(self, stop: dict[str, Any]) -> None:
        self.counts = {"before": 0, "moving": 0}
        self._stop = stop
        self._phase = "before"
        self._left = int(stop.get("nth", 0))

    def take(self, frame: FrameType, kind: str, callee: object) -> None:
        """One event of the interpreter."""
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            return
        file, function = Path(code.co_filename).name, code.co_name
        if kind == "call" and (file, function) in _BEGINS:
            self._phase = "moving"
        self.counts[self._phase] += 1
        if self._is_at_event() or self._is_at_point(file, function, kind, callee):
            os.kill(os.getpid(), signal.SIGSTOP)

    def _is_at_event(self) -> bool:
        return self._stop.get("phase") == self._phase and self._stop.get("event") == self.counts[self._phase]

    def _is_at_point(self, file: str, function: str, kind: str, callee: object) -> bool:
        if not self._left or (file, function, kind) != tuple(self._stop[name] for name in ("file", "function", "kind")):
            return False
        if self._stop.get("callee") not in (None, getattr(callee, "__name__", None)):
            return False
        self._left -= 1
        return not self._left


def main() -> None:
    """Make every run that is asked for."""
    _import_all()
    _say({"ready": True})
    for line in sys.stdin:
        _run(json.loads(line))


def _run(order: dict[str, Any]) -> None:
    pid = os.fork()
    if not pid:
        _be_the_program(order)
    _say({"pid": pid})
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        _say({"stopped": True})
    counts = Path(order["counts"])
    _say(
        {
            "status": os.waitstatus_to_exitcode(status),
            "counts": json.loads(counts.read_text(encoding="utf-8")) if counts.exists() else None,
        }
    )


def _be_the_program(order: dict[str, Any]) -> None:
    """Run one command line, and end."""
    os.setsid()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    for stream, name in ((0, os.devnull), (1, order["stdout"]), (2, order["stderr"])):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, stream)
        os.close(file)
    sys.argv = ["builder", *order["words"]]
    steering = Steering(order["stop"])
    status: object = 1
    try:
        sys.setprofile(steering.take)
        app.entry()
    except SystemExit as ending:
        status = ending.code
    except BaseException:  # noqa: BLE001
        sys.setprofile(None)
        sys.excepthook(*sys.exc_info())
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        sys.setprofile(None)
        with suppress(OSError):
            Path(order["counts"]).write_text(json.dumps(steering.counts), encoding="utf-8")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else bool(status))


def _import_all() -> None:
    for module in pkgutil.walk_packages([_PACKAGE], "builder."):
        if not module.name.startswith(_WITHOUT):
            import_module(module.name)
    for name in _ALSO:
        import_module(name)
    _be_quick()


def _be_quick() -> None:
    """Wait for a registry that fails no longer than a test may take."""
    opening = import_module("builder.channels.registry.opening")
    function = opening.open_registry.__wrapped__
    assert isinstance(function, FunctionType)
    assert function.__kwdefaults__
    function.__kwdefaults__["patience"] = type(function.__kwdefaults__["patience"])(**_QUICK)


def _say(words: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(words)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
