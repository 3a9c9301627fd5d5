"""Every figure there is, by the first part of its name; what follows the slash says of what."""

from __future__ import annotations

from collections.abc import Mapping

from builder.performance.samples import Better, Family, Metric

_SECONDS, _TOKENS, _VECTORS = "s", "tokens/s", "vectors/s"
_KINDS: Mapping[str, tuple[str, Better, Family]] = {
    "ttft": (_SECONDS, Better.LOWER, Family.LATENCY),
    "itl": (_SECONDS, Better.LOWER, Family.LATENCY),
    "e2e": (_SECONDS, Better.LOWER, Family.LATENCY),
    "embed": (_SECONDS, Better.LOWER, Family.LATENCY),
    "prompt": (_TOKENS, Better.HIGHER, Family.THROUGHPUT),
    "generation": (_TOKENS, Better.HIGHER, Family.THROUGHPUT),
    "throughput": (_TOKENS, Better.HIGHER, Family.THROUGHPUT),
    "vectors": (_VECTORS, Better.HIGHER, Family.THROUGHPUT),
    "llama-bench": (_TOKENS, Better.HIGHER, Family.LLAMA_BENCH),
    "start": (_SECONDS, Better.LOWER, Family.START),
    "memory": ("MiB", Better.LOWER, Family.RESOURCE),
    "processor": (_SECONDS, Better.LOWER, Family.RESOURCE),
}
TOLD: Mapping[str, str] = {
    "ttft": "time to first token",
    "itl": "time between tokens",
    "e2e": "time to last token",
    "embed": "time to the vectors of a request",
    "prompt": "prompt tokens until the first token",
    "generation": "tokens from the first to the last",
    "throughput": "tokens of all users together",
    "vectors": "vectors of all users together",
    "llama-bench": "without a server",
    "start": "from the start of the container",
    "memory": "memory held at the end",
    "processor": "processor time of the container under load",
}
"""What the first part of a name stands for, for people."""


def metric(name: str) -> Metric:
    """The figure of this name.

    Raises:
        KeyError: there is none whose name begins so.
    """
    unit, better, family = _KINDS[name.partition("/")[0]]
    return Metric(name, unit, better, family)
