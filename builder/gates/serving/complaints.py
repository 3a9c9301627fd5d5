"""What a server's log says of what did not work."""

from __future__ import annotations

from builder.gates.finding import Finding, bad, good
from builder.server.cuda_errors import advise
from builder.server.log import LogFacts


def complaints(facts: LogFacts) -> Finding:
    """Does the log tell of anything that did not work?"""
    if facts.complaints:
        count = len(facts.complaints)
        lines = "One line of its log tells" if count == 1 else f"{count} lines of its log tell"
        advice = advise(facts.complaints)
        detail = f"{lines} of an error or of something that is not supported.{f' {advice}' if advice else ''}"
        return bad("log", detail, facts.complaints)
    return good("log", "Its log tells of no error, fallback or missing support.", {"log_lines": facts.lines})
