"""What a llama-server's log says that looks like a complaint and is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Need(Enum):
    """What a server is for, where that decides what its log may say."""

    CPU = "no GPU is to be used"
    EMBEDDINGS = "it is to give vectors"


@dataclass(frozen=True)
class Harmless:
    """Words that look like a complaint and are none.

    Attributes:
        pattern: what such a line holds.
        reason: why it is harmless.
        need: what makes it so; None for every server.
    """

    pattern: re.Pattern[str]
    reason: str
    need: Need | None = None


HARMLESS = (
    Harmless(
        re.compile(r"preserve_reasoning kwarg: not supported by template"),
        "The model's chat template has no thoughts to keep; nobody asked for it.",
    ),
    Harmless(
        re.compile(r"speculative decoding (?:is )?not supported by this context"),
        "A server for embeddings makes no tokens; nobody asked for it.",
        Need.EMBEDDINGS,
    ),
    Harmless(
        re.compile(r"KV cache shifting is not supported for this context"),
        "A server for embeddings keeps nothing that would have to be shifted.",
        Need.EMBEDDINGS,
    ),
    Harmless(
        re.compile(r"\"code\":503,\"message\":\"Loading model\""),
        "It was asked for its health while it loaded the model, which it should say by this.",
    ),
    Harmless(
        re.compile(r"Failed to open logfile '.{1,100}' with error 'Read-only file system'"),
        "Servers of 2024 want a file beside their log; its container is read-only.",
    ),
    Harmless(
        re.compile(
            r"no usable GPU found|not compiled with GPU offload support|compiled without (?:GPU|support for GPU)"
        ),
        "An image for the CPU says so.",
        Need.CPU,
    ),
    Harmless(
        re.compile(r"backend \S*libggml-cpu-\S+ is not supported on this system"),
        "One of several libraries for the CPU, of which the one that fits is taken.",
    ),
    Harmless(
        re.compile(r"Template application failed|falling back to reasoning = NONE|double tool call comparison failed"),
        "It tries out what the model's chat template can do.",
    ),
    Harmless(
        re.compile(
            r"\b(?:http: streamed chunk|Parsed message|next token|launching slot|prefill token)\b|^data: "
            r"|\b(?:request|response): +\{(?!\"error\")"
        ),
        "It repeats what users, the model and its chat template say.",
    ),
    Harmless(
        re.compile(r"\bllama_model_loader: - kv +\d+:"),
        "It repeats what the model's file says of itself.",
    ),
    Harmless(
        re.compile(r"(?:bug|issue|problem)s? .{0,40}(?:-fit off|if the bug only occurs)"),
        "It says how to report one.",
    ),
)
"""What servers say in passing, by what was met on real ones."""
