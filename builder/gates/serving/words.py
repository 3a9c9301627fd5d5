"""What a server can be told, and why it cannot even say that."""

from __future__ import annotations

from builder.engine.client import Engine
from builder.engine.throwaway import SANDBOX
from builder.gates.finding import Finding, unknown
from builder.gates.serving.ending import not_started
from builder.gates.serving.trial import Trial
from builder.process import CommandTimeout
from builder.server.help import Help, parse_help
from builder.server.startup import Ending

_LIMIT = 120.0
"""Seconds; a cold image is read from disk first."""


def ask_for_words(trial: Trial, engine: Engine, run_id: str) -> Help | Finding:
    """The words that a server takes, by its own help; else why it does not start."""
    options = (*SANDBOX, *trial.options)
    try:
        done = engine.run_once(trial.image.id, ["--help"], options=options, timeout=_LIMIT, run_id=run_id)
    except CommandTimeout:
        return unknown("start", f"It printed no help within {_LIMIT:g} s. Run it by hand with `--help`.")
    known = parse_help(done.stdout + done.stderr)
    return known if known.knows("--model") else not_started(Ending(done.returncode, done.stdout + done.stderr))
