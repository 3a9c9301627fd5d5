"""Does the image's own health check tell a server that is well from none?

What the engine of a fleet restarts a container by is a program of the image. One that always says yes, or that cannot
be started, is seen only by running it: where nothing serves, and where a server is healthy.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import sleep
from typing import Any

from builder.engine.statuses import NOT_STARTED
from builder.engine.throwaway import SANDBOX
from builder.gates.finding import Finding, bad, good, unknown
from builder.gates.gate import Scene
from builder.gates.serving.trial import Trial
from builder.process import CommandTimeout, Completed
from builder.server.running import RunningServer
from builder.server.version import plain_lines

NAME = "health-check"
_LIMIT = 60.0
"""Seconds for the engine to run it; the image's own check waits for an answer for far less."""
_TIMES = 5
"""Tries, as the engine makes some before it calls a container unhealthy."""
_PAUSE = 2.0
"""Seconds between them: a machine that is busy for a moment may be too slow for the image's own limit."""
_SHOWN = 3


def health_check(trial: Trial, server: RunningServer, scene: Scene) -> Finding | None:
    """Run it in a container without a server, and beside one that is healthy; None where the image has none.

    Raises:
        MachineError: no engine answers.
    """
    words = _words(scene.engine.facts(trial.image.id).get("Config") or {})
    if not words:
        return None
    try:
        return _unfounded(words, trial, scene) or _beside(words, server)
    except CommandTimeout:
        return unknown(NAME, f"The image's health check `{' '.join(words)}` did not end within {_LIMIT:g} s.")


def _words(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What the engine would execute, by the image's configuration."""
    kind, *words = (config.get("Healthcheck") or {}).get("Test") or ("NONE",)
    if kind == "CMD-SHELL":
        return (*(config.get("Shell") or ("/bin/sh", "-c")), *words)
    return tuple(words) if kind == "CMD" else ()


def _unfounded(words: tuple[str, ...], trial: Trial, scene: Scene) -> Finding | None:
    program, *rest = words
    options = (*SANDBOX, "--entrypoint", program)
    done = scene.engine.run_once(trial.image.id, rest, options=options, timeout=_LIMIT, run_id=scene.run_id)
    if done.returncode == NOT_STARTED:
        return unknown(NAME, "The engine did not start the image's health check in a container.", _lines(done))
    if done.returncode:
        return None
    said = f"The image's health check `{' '.join(words)}` says that all is well where no server runs"
    return bad(NAME, f"{said}: the engine would never restart one that hangs.", _lines(done))


def _beside(words: tuple[str, ...], server: RunningServer) -> Finding:
    for _ in range(_TIMES):
        done = server.execute(words, _LIMIT)
        if done.returncode:
            sleep(_PAUSE)
        else:
            return good(NAME, f"`{' '.join(words)}` says that this server is well, and without one that none is.")
    said = f"The image's health check `{' '.join(words)}` ends with status {done.returncode} beside a healthy server"
    return bad(NAME, f"{said}: the engine would restart it for ever.", _lines(done))


def _lines(done: Completed) -> tuple[str, ...]:
    return tuple(line for line in plain_lines(done.stdout + done.stderr) if line)[-_SHOWN:]
