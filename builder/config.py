"""What holds: flags over `BUILDER_*` variables over `builder.toml` over defaults, and where each value came from."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from builder.errors import UsageError

FILE_NAME = "builder.toml"
Feature = Literal["cuda", "cuda-graphs", "f16", "flash-attention"]
_REPOSITORY = r"^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"
_IMAGE = (
    rf"^({_REPOSITORY[1:-1]}(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?|sha256:[0-9a-f]{{64}})?$"
)
"""A name with or without tag and digest, an ID, or nothing."""
_MINIMUM = r"^(b?[0-9]{1,9}|v?[0-9]+\.[0-9]+\S*)$"
Provider = Literal["auto", "nvidia", "bootstrap", "custom"]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True
    )


class Upstream(_Section):
    """Where llama.cpp comes from and which of it is taken."""

    origin: str = Field("auto", description="auto, a git URL or path, a directory, a source archive, or pypi:PROJECT")
    repository: str = Field("https://github.com/ggml-org/llama.cpp.git", description="what auto asks first")
    fallback: str = Field("pypi:llama-cpp-python", description="what auto takes where the repository is out of reach")
    ref: str = Field("latest", description="latest, a tag, a branch or a commit")


class Build(_Section):
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

    @field_validator("architectures", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return parse_architectures(value) if isinstance(value, str) else value


class Bases(_Section):
    """The images a build starts from."""

    provider: Provider = Field("auto", description="auto, nvidia, bootstrap or custom")
    devel: str = Field(
        "", pattern=_IMAGE, description="custom: image with compilers, cmake, ninja and the CUDA toolkit"
    )
    runtime: str = Field("", pattern=_IMAGE, description="custom: image with the C library and curl")
    as_of: str = Field("", description="any text; another one makes the bases anew")


class Image(_Section):
    """How the result is named."""

    repository: str = Field(
        "local-ai-llama", pattern=_REPOSITORY, description="a name without a tag, such as host:5000/local-ai-llama"
    )


class Version(_Section):
    """What `check-version` wants."""

    minimum: str = Field("3294", pattern=_MINIMUM, description="build number or a release such as v0.3.0")

    @field_validator("minimum", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value


class Settings(_Section):
    """The whole of builder.toml."""

    upstream: Upstream = Upstream()
    build: Build = Build()
    bases: Bases = Bases()
    image: Image = Image()
    version: Version = Version()


@dataclass(frozen=True)
class Config:
    """Settings and, for each `section.key`, where its value came from."""

    settings: Settings
    sources: Mapping[str, str]
    file: Path | None


def parse_architectures(text: str) -> tuple[str, ...] | str:
    """`86,89` as a tuple; `auto` and `default` as they are."""
    return text if text in ("auto", "default") else tuple(part.strip() for part in text.split(",") if part.strip())


def find_file(start: Path) -> Path | None:
    """The nearest builder.toml, from a folder upwards."""
    return next((file for folder in (start, *start.parents) if (file := folder / FILE_NAME).exists()), None)


def load(
    file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Put together what holds.

    Args:
        file: a configuration file; None looks for builder.toml from the working folder upwards.
        flags: values by `section.key`; None values are flags that were not given.
        environ: where `BUILDER_SECTION_KEY` variables are looked up.

    Raises:
        UsageError: the file is missing or not TOML, a key is unknown, a value does not fit.
    """
    if file is not None and not file.exists():
        raise UsageError(f"There is no configuration file {file}.", "Name one that exists, or leave --config out.")
    file = file or find_file(Path.cwd())
    merged: dict[str, dict[str, Any]] = {}
    sources: dict[str, str] = {}
    for key, value, source in _layers(file, flags or {}, environ):
        section, name = key.split(".", 1)
        merged.setdefault(section, {})[name] = value
        sources[key] = source
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise _refusal(error.errors()[0], sources) from error
    return Config(settings, {key: sources.get(key, "default") for key in known_keys()}, file)


def known_keys() -> list[str]:
    """Every `section.key` there is, in the order of the file."""
    return [
        f"{section}.{(field.alias or name)}"
        for section, model in _sections().items()
        for name, field in model.model_fields.items()
    ]


def value_of(settings: Settings, key: str) -> object:
    """The value that holds for a `section.key`."""
    section, name = key.split(".", 1)
    value: object = getattr(getattr(settings, section), name.replace("-", "_"))
    return value


def _sections() -> dict[str, type[_Section]]:
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Section)
    }


def _layers(
    file: Path | None, flags: Mapping[str, object], environ: Mapping[str, str]
) -> Iterator[tuple[str, object, str]]:
    if file is not None:
        for section, values in _parse(file).items():
            if section not in _sections() or not isinstance(values, dict):
                raise _unknown(section, list(_sections()), str(file))
            for name, value in values.items():
                yield f"{section}.{name}", value, str(file)
    _check_variables(environ)
    for key in known_keys():
        variable = _variable(key)
        if variable in environ:
            yield key, _from_text(key, environ[variable]), variable
    for key, value in flags.items():
        if value is not None:
            yield key, value, "command line"


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}.", "Mend that line.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", "Check its permissions.") from error


def _from_text(key: str, text: str) -> object:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if key == "build.features":
        return parts
    if key == "build.definitions":
        pairs = [part.partition("=") for part in parts]
        if wrong := next((part for part, equals, _ in pairs if not equals), None):
            raise UsageError(
                f"{_variable(key)} holds {wrong!r}, which is no definition.", "Write NAME=VALUE,NAME=VALUE."
            )
        return {name.strip(): value.strip() for name, _, value in pairs}
    return text


def _variable(key: str) -> str:
    return "BUILDER_" + key.upper().replace(".", "_").replace("-", "_")


def _check_variables(environ: Mapping[str, str]) -> None:
    """Refuse variables that look like ours and are none; those of other sections are somebody else's."""
    known = {_variable(key): key for key in known_keys()}
    ours = tuple(f"BUILDER_{section.upper()}_" for section in _sections())
    for name in environ:
        if name.startswith(ours) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else "See `builder config`."
            raise UsageError(f"There is no setting for the variable {name}.", hint)


def _refusal(detail: ErrorDetails, sources: Mapping[str, str]) -> UsageError:
    where = [str(part) for part in detail["loc"]]
    key = ".".join(where[:2])
    source = sources.get(key, "the configuration")
    if detail["type"] == "extra_forbidden":
        return _unknown(key, known_keys(), source)
    if key == "build.features":
        hint = f"Choose from {', '.join(get_args(Feature))}."
    else:
        hint = f"It takes: {_description(key)}."
    return UsageError(f"{key} in {source} cannot be {detail['input']!r}.", hint)


def _description(key: str) -> str:
    section, _, name = key.partition(".")
    field = _sections()[section].model_fields.get(name.replace("-", "_")) if section in _sections() else None
    return (field.description if field else None) or "see builder.toml"


def _unknown(key: str, known: list[str], source: str) -> UsageError:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
    return UsageError(f"Unknown key `{key}` in {source}.", hint)
