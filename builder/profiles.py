"""How llama-server is run in production, as `[profiles.NAME]` tables of builder.toml say it.

A profile says what is wanted; the words for it are those of the image at hand. `chat` and `embedding` are there
without being written down.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from builder.errors import UsageError
from builder.secrets import without_secrets
from builder.section import Section

ProfileKind = Literal["chat", "embedding"]
CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
Pooling = Literal["", "mean", "cls", "last", "rank"]
BUILT_IN: tuple[ProfileKind, ...] = get_args(ProfileKind)
"""Profiles that are there in any case, named as their kind."""

_SILENCE = "--log-disable"
_PLAIN = ("f32", "f16", "bf16")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_MEMORY = r"^([1-9][0-9]{0,8}[kmg])?$"
_BY_KIND: Mapping[ProfileKind, Mapping[str, object]] = {
    "chat": {"context": 8192, "batch": 128, "ubatch": 128, "cache-reuse": 256, "memory-limit": ""},
    "embedding": {"context": 2048, "batch": 512, "ubatch": 512, "cache-reuse": 0, "memory-limit": "512m"},
}


class Profile(Section):
    """One way of serving."""

    kind: ProfileKind = Field(description="chat (completions and chats) or embedding (texts that become vectors)")
    model: str = Field(
        "", description="a GGUF file, from the configuration file's own folder; empty or made:1b makes one"
    )
    context: int = Field(ge=256, description="a number of tokens, which the slots share")
    batch: int = Field(ge=1, description="the most tokens that are taken at once")
    ubatch: int = Field(ge=1, description="the most tokens that are computed at once, not above batch")
    flash_attention: bool = Field(True, description="true or false; a quantised cache-type-v needs it")
    cache_type_k: CacheType = Field("q8_0", description=f"one of {', '.join(get_args(CacheType))}")
    cache_type_v: CacheType = Field("q8_0", description=f"one of {', '.join(get_args(CacheType))}")
    cache_reuse: int = Field(ge=0, description="the shortest run of tokens that is reused from the cache; 0: none is")
    gpu_layers: int = Field(99, ge=0, description="how many layers go to the GPU; more than there are is all of them")
    continuous_batching: bool = Field(True, description="true or false: whether users are computed together")
    slots: int = Field(4, ge=1, le=1024, description="how many users are served at once")
    pooling: Pooling = Field("", description="mean, cls, last or rank; empty takes the model's own")
    jinja: bool = Field(False, description="true or false: whether the chat template engine is asked for")
    extra_arguments: tuple[str, ...] = Field((), description="further words for llama-server, handed on as they are")
    environment: Mapping[Annotated[str, Field(pattern=_VARIABLE)], str] = Field(
        default_factory=dict, description="variables for the server, such as { GGML_CUDA_DISABLE_GRAPHS = '1' }"
    )
    health_limit: int = Field(120, ge=1, le=86400, description="seconds until it must be healthy")
    answer_limit: int = Field(
        0, ge=0, le=86400, description="seconds in which each answer must be there; 0: as many as the machine needs"
    )
    memory_limit: str = Field(
        pattern=_MEMORY, description="the container's memory, such as 512m or 8g; empty: no limit"
    )
    users: int = Field(10, ge=1, le=1000, description="how many users at once it is tried with")

    @property
    def embeddings(self) -> bool:
        """Whether the server is to give vectors."""
        return self.kind == "embedding"

    def without_secrets(self) -> Profile:
        """The same for people and records: with stars for what looks like a secret, such as LLAMA_API_KEY."""
        pairs = {name: without_secrets([f"{name}={value}"])[0] for name, value in self.environment.items()}
        variables = {name: pair.removeprefix(f"{name}=") for name, pair in pairs.items()}
        words = tuple(without_secrets(self.extra_arguments))
        return self.model_copy(update={"environment": variables, "extra_arguments": words})

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ubatch > self.batch:
            raise ValueError(f"ubatch {self.ubatch} is more than batch {self.batch}")
        if _SILENCE in self.extra_arguments:
            raise ValueError(f"leave out {_SILENCE}: the log has to prove where the server computes")
        if self.cache_type_v not in _PLAIN and not self.flash_attention:
            raise ValueError(f"cache-type-v {self.cache_type_v} needs flash-attention")
        return self


def profile(kind: ProfileKind, **values: Any) -> Profile:
    """A profile of a kind, with that kind's defaults for what is not given."""
    return Profile.model_validate({**_BY_KIND[kind], "kind": kind, **values})


def with_defaults(tables: object) -> object:
    """The tables of a configuration with the built-in profiles and each kind's defaults; what is no table is left.

    Raises:
        UsageError: a name cannot be one, or a new profile does not say its kind.
    """
    if not isinstance(tables, Mapping):
        return tables
    every: dict[str, object] = {**{name: {} for name in BUILT_IN}, **tables}
    return {name: _filled(check_name(name), table) for name, table in every.items()}


def check_name(name: object) -> str:
    """The name of a profile, if it can be one.

    Raises:
        UsageError: it cannot.
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise UsageError(f"{name!r} cannot be the name of a profile.", "Take lower-case letters, digits and dashes.")


def choose(profiles: Mapping[str, Profile], names: tuple[str, ...]) -> dict[str, Profile]:
    """The profiles with these names, in this order; without names all of them.

    Raises:
        UsageError: there is none of a name.
    """
    missing = next((name for name in names if name not in profiles), None)
    if missing is not None:
        near = difflib.get_close_matches(missing, profiles, n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(profiles)}."
        raise UsageError(f"There is no profile {missing!r}.", hint)
    return {name: profiles[name] for name in names or profiles}


def _filled(name: str, table: object) -> object:
    if not isinstance(table, Mapping):
        return table
    kind = table.get("kind", name)
    if "kind" not in table and name not in BUILT_IN:
        raise UsageError(f"The profile {name} does not say its kind.", 'Write kind = "chat" or kind = "embedding".')
    defaults = _BY_KIND[kind] if kind in BUILT_IN else _BY_KIND["chat"]
    return {**defaults, "kind": kind, **table}
