"""The sections of builder.toml: every key with its form, its default and what it is for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator

from builder.endurance import Soak
from builder.holds import parse_scope
from builder.profiles import Profile, with_defaults
from builder.promotion import Adoption, Channels, Promotion, Registry, Signatures
from builder.section import DURATION, Section, parse_duration
from builder.speed import Performance

Feature = Literal["cuda", "cuda-graphs", "f16", "flash-attention"]
_REPOSITORY = r"^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"
_IMAGE = (
    rf"^({_REPOSITORY[1:-1]}(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?|sha256:[0-9a-f]{{64}})?$"
)
"""A name with or without tag and digest, an ID, or nothing."""
_MINIMUM = r"^(b?[0-9]{1,9}|v?[0-9]+\.[0-9]+\S*)$"
_SIZE = r"^([0-9]{1,6}(\.[0-9]{1,3})?[MG]B)?$"
Provider = Literal["auto", "nvidia", "bootstrap", "custom"]
Channel = Literal["nightly", "releases", "branch"]
Until = Literal["built", "judged", "promoted"]


class Held(Section):
    """What is not taken, and why."""

    ref: str = Field(description="a tag, a commit of at least 7 digits, or a range such as b9300..b9310")
    reason: str = Field(min_length=1, description="why, for people")

    @field_validator("ref")
    @classmethod
    def _known_form(cls, value: str) -> str:
        parse_scope(value)
        return value

    @field_validator("reason", mode="before")
    @classmethod
    def _one_line(cls, value: object) -> object:
        return " ".join(value.split()) if isinstance(value, str) else value

    def __str__(self) -> str:
        return f"{self.ref}: {self.reason}"


class Upstream(Section):
    """Where llama.cpp comes from and which of it is taken."""

    origin: str = Field("auto", description="auto, a git URL or path, a directory, a source archive, or pypi:PROJECT")
    repository: str = Field("https://github.com/ggml-org/llama.cpp.git", description="what auto asks first")
    fallback: str = Field("pypi:llama-cpp-python", description="what auto takes where the repository is out of reach")
    ref: str = Field("latest", description="latest, tip, a tag, a branch or a commit")
    channel: Channel = Field("nightly", description="what latest chooses from: nightly, releases or branch")
    branch: str = Field("", description="the branch of channel branch and of tip; empty is upstream's default")
    cooldown: str = Field(
        "0h", pattern=DURATION, description="how old a build must be for latest, such as 30m, 12h, 3d, 1w or 0"
    )
    hold: tuple[Held, ...] = Field(
        (),
        description="a list of { ref, reason } that latest passes over; "
        "ref is a tag, a commit of at least 7 digits, or a range such as b9300..b9310",
    )

    @field_validator("cooldown", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return "0" if value == 0 and not isinstance(value, bool) else value

    @property
    def cooldown_time(self) -> timedelta:
        """The cooldown as a span of time."""
        return parse_duration(self.cooldown)


class Patches(Section):
    """What is laid on upstream."""

    folder: str = Field("patches", description="folder with a series file, from the configuration file's own folder")


class Build(Section):
    """What is asked of the compiler."""

    features: tuple[Feature, ...] = Field(
        ("cuda", "cuda-graphs", "f16", "flash-attention"), description="what a CUDA image must have"
    )
    cuda: str = Field("13.0", pattern=r"^1[123]\.\d$", description="a CUDA release from 11.0 to 13.9, such as 13.0")
    architectures: tuple[str, ...] | Literal["default", "auto"] = Field(
        "default", description="default, auto (the GPUs at hand) or a list such as ['86', '89']"
    )
    jobs: int = Field(0, ge=0, description="compilations at once; 0 is one per core")
    definitions: Mapping[str, str] = Field(default_factory=dict, description="further CMake definitions")
    tests: bool = Field(
        True, description="also make an image with upstream's own test programs, which judge the served one"
    )
    until: Until = Field(
        "promoted", description="how far `builder build` goes: built, judged, or promoted if it proved itself"
    )

    @field_validator("architectures", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return parse_architectures(value) if isinstance(value, str) else value


class Bases(Section):
    """The images a build starts from."""

    provider: Provider = Field("auto", description="auto, nvidia, bootstrap or custom")
    devel: str = Field(
        "", pattern=_IMAGE, description="custom: image with compilers, cmake, ninja and the CUDA toolkit"
    )
    runtime: str = Field("", pattern=_IMAGE, description="custom: image with the C library and curl")
    as_of: str = Field("", description="any text; another one makes the bases anew")


class Image(Section):
    """How the result is named."""

    repository: str = Field(
        "local-ai-llama", pattern=_REPOSITORY, description="a name without a tag, such as host:5000/local-ai-llama"
    )


class Version(Section):
    """What `check-version` wants."""

    minimum: str = Field("3294", pattern=_MINIMUM, description="build number or a release such as v0.3.0")

    @field_validator("minimum", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value


class Gates(Section):
    """What the gates demand of an image beyond what must hold for every one."""

    size_limit: str = Field(
        "", pattern=_SIZE, description="the most that an image may have, such as 900MB or 1.5GB; empty: no limit"
    )
    growth_limit: str = Field(
        "50%",
        pattern=r"^([0-9]{1,4}%)?$",
        description="how much more than the adopted image of its kind, such as 20%; empty: no limit",
    )
    operations_limit: int = Field(
        120,
        ge=10,
        le=3600,
        description="seconds in which single operations are compared; what is not reached is left out",
    )


class Settings(Section):
    """The whole of builder.toml."""

    upstream: Upstream = Upstream()
    patches: Patches = Patches()
    build: Build = Build()
    bases: Bases = Bases()
    image: Image = Image()
    version: Version = Version()
    gates: Gates = Gates()
    performance: Performance = Performance()
    soak: Soak = Soak()
    channels: Channels = Channels()
    promotion: Promotion = Promotion()
    registry: Registry = Registry()
    adoption: Adoption = Adoption()
    signatures: Signatures = Signatures()
    profiles: Mapping[str, Profile] = Field(
        default_factory=dict, validate_default=True, description="ways of serving, by name"
    )

    @field_validator("profiles", mode="before")
    @classmethod
    def _filled(cls, value: object) -> object:
        return with_defaults(value)

    def adopted(self, variant: str) -> str:
        """The name of the image that is adopted of a variant, such as `local-ai-llama:latest`."""
        return f"{self.image.repository}:{self.channels.tags(variant).adopted}"

    def candidate(self, variant: str) -> str:
        """The name of the image that was built last of a variant, such as `local-ai-llama:candidate`."""
        return f"{self.image.repository}:{self.channels.tags(variant).candidate}"


def parse_architectures(text: str) -> tuple[str, ...] | str:
    """`86,89` as a tuple; `auto` and `default` as they are."""
    return text if text in ("auto", "default") else tuple(part.strip() for part in text.split(",") if part.strip())


def parse_holds(text: str) -> list[dict[str, str]]:
    """`b9282=reason,b9300..b9310=reason` as the file has it; a comma that no `ref=` follows belongs to the reason.

    Raises:
        ValueError: a part has no reason; it is what the error says.
    """
    parts = [part.strip() for part in re.split(r",(?=\s*[^\s,=]+=)", text) if part.strip()]
    if wrong := next((part for part in parts if not part.partition("=")[2].strip()), None):
        raise ValueError(wrong)
    pairs = (part.partition("=") for part in parts)
    return [{"ref": ref.strip(), "reason": reason.strip()} for ref, _, reason in pairs]
