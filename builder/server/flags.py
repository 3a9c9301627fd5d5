"""A profile in the words that a server of any age understands.

What there is, is what the server's own help names. What a profile wants and the help has no word for is told, never
passed over: a word that a server does not know makes it exit at once, a wish that it does not hear makes it another
server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from builder.profiles import Profile
from builder.server.help import Help

_ANY_ADDRESS = "0.0.0.0"  # noqa: S104
_DEBUG_THRESHOLD = "1"
"""Where the help lists no levels, this one is all there is above the usual (upstream's common/log.h before 2026)."""


class Telling(Enum):
    """How much a server logs.

    Attributes:
        USUAL: what it logs by itself.
        LOADING: how many layers went to the GPU, buffers, features of the backend.
        COMPUTING: also what becomes of CUDA graphs, a line for each.
    """

    USUAL = ""
    LOADING = "trace"
    COMPUTING = "debug"


@dataclass(frozen=True)
class Arguments:
    """What a server is started with.

    Attributes:
        words: the arguments of llama-server.
        notes: a sentence for each wish that it has no word for.
    """

    words: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Word:
    """A word for the server, or a wish that it has no word for."""

    words: tuple[str, ...] = ()
    note: str = ""


def arguments(
    profile: Profile,
    known: Help,
    model: str,
    port: int,
    *,
    host: str = _ANY_ADDRESS,
    telling: Telling = Telling.COMPUTING,
) -> Arguments:
    """Put a profile in the words of one server.

    How much it logs is said last, after the profile's own words, for the log is what proves where it computes.

    Args:
        profile: what is wanted.
        known: what the server's help names.
        model: path of the model where the server sees it.
        port: where it listens; always given, for the default has been announced to change.
        host: address on which it listens; every one in its own container.
        telling: how much it logs.
    """
    parts = [
        _Word(("--model", model, "--host", host, "--port", str(port))),
        *_sizes(profile, known),
        *_caches(profile, known),
        *_batching(profile, known),
        *_endpoints(profile, known),
        _Word(profile.extra_arguments),
        *_telling(telling, known),
    ]
    return Arguments(
        tuple(word for part in parts for word in part.words), tuple(part.note for part in parts if part.note)
    )


GRAPHS_OFF = "GGML_CUDA_DISABLE_GRAPHS"
"""Variable that turns CUDA graphs off where it is set, whatever it is set to (upstream's ggml-cuda.cu)."""


def tells_of_graphs(known: Help) -> bool:
    """Servers that name the levels of their log, since the spring of 2026, tell of each CUDA graph."""
    option = known.find("--log-verbosity", "--verbosity")
    return option is not None and "debug" in known.options[option].levels


def _sizes(profile: Profile, known: Help) -> Iterator[_Word]:
    yield _valued(known, "context", str(profile.context), "--ctx-size")
    yield _valued(known, "batch", str(profile.batch), "--batch-size")
    yield _valued(known, "ubatch", str(profile.ubatch), "--ubatch-size")
    yield _valued(known, "gpu-layers", str(profile.gpu_layers), "--n-gpu-layers", "--gpu-layers")


def _caches(profile: Profile, known: Help) -> Iterator[_Word]:
    yield _flash_attention(profile.flash_attention, known)
    yield _valued(known, "cache-type-k", profile.cache_type_k, "--cache-type-k")
    yield _valued(known, "cache-type-v", profile.cache_type_v, "--cache-type-v")
    if profile.cache_reuse:
        yield _valued(known, "cache-reuse", str(profile.cache_reuse), "--cache-reuse")


def _flash_attention(wanted: bool, known: Help) -> _Word:
    """A switch up to the middle of 2025; since then `on`, `off` or `auto` has to follow."""
    name = known.find("--flash-attn")
    if name is None:
        return _missing("flash-attention", "true") if wanted else _Word()
    if known.options[name].value:
        return _valued(known, "flash-attention", "on" if wanted else "off", name)
    return _Word((name,)) if wanted else _Word()


def _batching(profile: Profile, known: Help) -> Iterator[_Word]:
    yield _valued(known, "slots", str(profile.slots), "--parallel")
    if profile.continuous_batching:
        yield _switch(known, "continuous-batching", "--cont-batching")
    else:
        yield _switch(known, "continuous-batching", "--no-cont-batching", value="false")


def _endpoints(profile: Profile, known: Help) -> Iterator[_Word]:
    if profile.embeddings:
        yield _switch(known, "embeddings", "--embeddings", "--embedding")
    if profile.pooling:
        yield _valued(known, "pooling", profile.pooling, "--pooling")
    if profile.jinja:
        yield _switch(known, "jinja", "--jinja")
    yield _switch(known, "the endpoint /metrics", "--metrics")
    if known.knows("--slots") or not known.knows("--no-slots"):
        yield _switch(known, "the endpoint /slots", "--slots")
    if name := known.find("--no-ui", "--no-webui"):
        yield _Word((name,))


def _telling(telling: Telling, known: Help) -> Iterator[_Word]:
    """Levels are taken by the meaning that the help gives them; servers without levels tell all of loading."""
    name = known.find("--log-verbosity", "--verbosity")
    if telling is Telling.USUAL:
        return
    if name is None:
        yield _missing("logging", telling.value)
    elif levels := known.options[name].levels:
        found = levels.get(telling.value)
        yield _Word((name, str(found))) if found is not None else _missing("logging", telling.value)
    elif telling is Telling.COMPUTING:
        yield _Word((name, _DEBUG_THRESHOLD))


def _valued(known: Help, wish: str, value: str, *names: str) -> _Word:
    name = known.find(*names)
    if name is None:
        return _missing(wish, value)
    choices = known.options[name].choices
    if choices and value not in choices:
        return _Word(note=f"This server takes no {value} for {wish}, only {', '.join(choices)}.")
    return _Word((name, value))


def _switch(known: Help, wish: str, *names: str, value: str = "true") -> _Word:
    name = known.find(*names)
    return _Word((name,)) if name else _missing(wish, value)


def _missing(wish: str, value: str) -> _Word:
    return _Word(note=f"This server has no word for {wish} = {value}.")
