"""What a server's log quotes: the model's chat template and what becomes of an example, over many lines.

Servers print them once a model is loaded: `chat template, chat_template: ..., example_format: '...'` in 2025, one
of the two before and after. A template may say whatever its author liked, such as `raise_exception('not supported')`,
and is no message of the server.
"""

from __future__ import annotations

import re

SIGN = "chat template, "
"""What a line holds that begins to quote."""
_BEGUN = re.compile(rf"\b{SIGN}.*?\b(?:chat_template: |(?P<example>(?:example_format|chat_example): '))")
_EXAMPLE = ", example_format: '"
_END = "'"
_MESSAGE = re.compile(
    r"^(?:\d[\d.]* )?[DIWE] |^(?:INFO|WARN|ERR|VERB)\b ?\["
    r"|^(?:main|srv|slot|que|res|cmn|common|llama|ggml|gguf|load|print|set|sched|graph|update|system)(?:_\w+)?:? "
)
"""How messages of servers begin, whatever is quoted before."""
_MOST = 4000
"""Lines that are taken for a quotation at most."""


class Quotations:
    """Tells a server's own words from what it quotes, line by line.

    Attributes:
        inside: a quotation that has begun is not over.
    """

    def __init__(self) -> None:
        self.inside = False
        self._template = False
        self._lines = 0

    def own(self, line: str) -> str:
        """What of a line the server says itself; empty where all of it is quoted."""
        if self.inside:
            self._lines += 1
            if self._lines <= _MOST and not _MESSAGE.search(line):
                self._go_on(line)
                return ""
            self.inside = False
        if not (begun := _BEGUN.search(line)):
            return line
        self.inside, self._lines, self._template = True, 0, not begun["example"]
        self._go_on(line[begun.end() :])
        return line[: begun.end()]

    def _go_on(self, quoted: str) -> None:
        if self._template:
            _, found, quoted = quoted.partition(_EXAMPLE)
            self._template = not found
        self.inside = self._template or not quoted.endswith(_END)
