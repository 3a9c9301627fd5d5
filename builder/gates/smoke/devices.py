"""Does the server name a GPU when it is asked for its devices?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from builder.engine.client import Engine
from builder.engine.throwaway import SANDBOX
from builder.gates.finding import Finding, bad, good, unknown
from builder.gates.serving.trial import Trial
from builder.process import CommandTimeout
from builder.server.cuda_errors import advise
from builder.server.help import Help
from builder.server.log import LogFacts
from builder.server.version import plain_lines

NAME = "devices"
_LIMIT = 120.0
_QUESTION = "--list-devices"
_DEVICE = re.compile(r"^(?P<name>[A-Za-z]+\d+): (?P<description>.+)$")
_HINT = "Look whether libggml-cuda.so and all that it needs is in the image, and whether the driver serves its CUDA."


def list_devices(trial: Trial, known: Help, engine: Engine, run_id: str) -> Finding | None:
    """Ask for the devices; None where this server cannot be asked, so that its log has to tell."""
    if not known.knows(_QUESTION):
        return None
    try:
        done = engine.run_once(
            trial.image.id, [_QUESTION], options=(*SANDBOX, *trial.options), timeout=_LIMIT, run_id=run_id
        )
    except CommandTimeout:
        return unknown(NAME, f"It did not list its devices within {_LIMIT:g} s. See `builder doctor` for the driver.")
    lines = plain_lines(done.stdout)
    if done.returncode:
        said = tuple(line for line in plain_lines(done.stderr) if line)[-4:]
        return bad(NAME, f"Asked for its devices, it ended with status {done.returncode}.", said)
    found = [match for line in lines if (match := _DEVICE.match(line))]
    told = [line for line in plain_lines(done.stderr) if "CUDA" in line or "load_backend" in line]
    return _judge([match[0] for match in found if match["name"].startswith("CUDA")], (*told, *filter(None, lines)))


def devices_in_log(facts: LogFacts) -> Finding:
    """What the log of an old server, which cannot be asked, says of its devices."""
    if facts.devices is None:
        return unknown(NAME, "This server cannot list its devices, and its log does not name them.")
    return _judge(["CUDA"] * facts.devices, facts.last)


def _judge(cuda: list[str], said: Sequence[str]) -> Finding:
    if not cuda:
        return bad(NAME, f"It was given a GPU and names no CUDA device. {advise(said) or _HINT}", tuple(said[:4]))
    return good(NAME, f"It names {', '.join(cuda)}.", {"devices": len(cuda)})
