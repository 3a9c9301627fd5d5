"""One JSON document on standard output: whole, and not a second one, whatever interrupts it."""

from __future__ import annotations

import sys

from builder.interruption import postponed


class Documents:
    """What one run of the program leaves on standard output for other programs.

    Attributes:
        given: the document is there as a whole.
    """

    def __init__(self) -> None:
        self.given = False

    def give(self, document: object) -> None:
        """Write a document, unless one is there already; a signal that comes meanwhile waits until it is there."""
        import json

        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        with postponed():
            if not self.given:
                sys.stdout.write(text)
                sys.stdout.flush()
                self.given = True
