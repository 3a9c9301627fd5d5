"""What an image has to show before a channel names it, and where that becomes known, as builder.toml says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator, model_validator

from builder.section import DURATION, Section, parse_duration

GateName = Literal["version", "structure", "smoke", "correctness", "performance", "soak"]
_CHANNEL = r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(\{variant\}[A-Za-z0-9_.-]{0,63})?|\{variant\}[A-Za-z0-9_.-]{0,63})$"
_REPOSITORY = r"^([A-Za-z0-9.-]+(:[0-9]+)?/[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)?$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"


@dataclass(frozen=True)
class ChannelTags:
    """The tags that move, of one variant."""

    candidate: str
    adopted: str
    previous: str


class Channels(Section):
    """The tags that move. Where a name has `{variant}` in it, each variant has a tag of its own: `cuda` or `cpu`."""

    candidate: str = Field("candidate", pattern=_CHANNEL, description="a tag such as candidate or {variant}-candidate")
    adopted: str = Field("latest", pattern=_CHANNEL, description="a tag such as latest or latest-{variant}")
    previous: str = Field("previous", pattern=_CHANNEL, description="a tag such as previous or previous-{variant}")

    @model_validator(mode="after")
    def _apart(self) -> Channels:
        names = (self.candidate, self.adopted, self.previous)
        if len(set(names)) != len(names):
            raise ValueError("two channels have the same name")
        if len({"{variant}" in name for name in names}) != 1:
            raise ValueError("either all channels have {variant} in their names, or none")
        return self

    @property
    def per_variant(self) -> bool:
        """Whether each variant has tags of its own."""
        return "{variant}" in self.adopted

    def tags(self, variant: str) -> ChannelTags:
        """The tags of a variant; which one it is does not matter where all share them."""
        names = (self.candidate, self.adopted, self.previous)
        return ChannelTags(*(name.replace("{variant}", variant) for name in names))


class Promotion(Section):
    """What an image has to show."""

    gates: tuple[GateName, ...] = Field(
        ("version", "structure", "smoke", "correctness", "performance"), description="gates that it must have passed"
    )
    max_age: str = Field("14d", pattern=DURATION, description="how old a verdict may be, such as 12h or 14d; 0: any")
    gpus: tuple[str, ...] = Field(
        (), description="kinds of GPU, such as ['NVIDIA GeForce RTX 3090'], on each of which it must have passed"
    )

    @field_validator("gates", "gpus", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @property
    def longest_age(self) -> timedelta | None:
        """How old a verdict may be; None is any age."""
        if self.max_age == "0":
            return None
        return parse_duration(self.max_age)


class Registry(Section):
    """Where images are pushed, so that other machines find them."""

    repository: str = Field(
        "", pattern=_REPOSITORY, description="host and name, such as registry.example/ai/llama; empty: no registry"
    )
    insecure: tuple[str, ...] = Field(
        (), description="registries that may speak in the clear or show any certificate, such as ['registry.lan:5000']"
    )

    @field_validator("insecure", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class Adoption(Section):
    """Files that tell a Compose stack which image is adopted, by its digest."""

    env_file: str = Field("", description="file with the image's name, from the configuration file's own folder")
    variable: str = Field("LLAMA_IMAGE", pattern=_VARIABLE, description="the variable's name in that file")
    compose_file: str = Field(
        "", description="Compose override that pins the services, from the configuration file's own folder"
    )
    services: tuple[str, ...] = Field((), description="services that the override pins, such as ['chat-1', 'embed-1']")

    @field_validator("services", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _whole(self) -> Adoption:
        if self.compose_file and not self.services:
            raise ValueError("compose-file is given and no services")
        return self


class Signatures(Section):
    """Signatures by cosign; without keys, none are made and none are asked for."""

    key: str = Field("", description="private key that signs at promotion; its password is in COSIGN_PASSWORD")
    public_key: str = Field("", description="public key that signatures must be by")
    required: bool = Field(False, description="whether promotion, rollback and adoption refuse what is not signed")

    @model_validator(mode="after")
    def _verifiable(self) -> Signatures:
        if self.required and not self.public_key:
            raise ValueError("signatures are required and there is no public-key")
        return self
