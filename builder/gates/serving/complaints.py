"""What a server's log says of what did not work."""

from __future__ import annotations

from builder.gates.finding import Finding, bad, good, unknown
from builder.server.cuda_errors import advise
from builder.server.log import LogFacts

NAME = "log"


def complaints(facts: LogFacts) -> Finding:
    """Does the log tell of anything that did not work? One without a line tells nothing."""
    if not facts.lines:
        return unknown(NAME, "Its log is empty, so nothing tells whether all went well. See whether it may log.")
    if facts.complaints:
        count = len(facts.complaints)
        lines = "One line of its log tells" if count == 1 else f"{count} lines of its log tell"
        advice = advise(facts.complaints)
        detail = f"{lines} of an error or of something that is not supported.{f' {advice}' if advice else ''}"
        return bad(NAME, detail, facts.complaints)
    return good(NAME, "Its log tells of no error, fallback or missing support.", {"log_lines": facts.lines})
