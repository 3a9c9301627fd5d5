"""What holds: flags over `BUILDER_*` variables over `builder.toml` over defaults, and where each value came from."""

from __future__ import annotations

import difflib
import os
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from builder.errors import UsageError
from builder.profiles import BUILT_IN, Profile, check_name
from builder.refusals import HOLDS, refusal, unknown
from builder.section import Section
from builder.settings import Held, Patches, Settings, parse_holds

FILE_NAME = "builder.toml"
_PROFILES = "profiles"


@dataclass(frozen=True)
class Config:
    """Settings and, for each `section.key`, where its value came from."""

    settings: Settings
    sources: Mapping[str, str]
    file: Path | None

    @property
    def patches_folder(self) -> Path | None:
        """Where the patch queue is, whether or not it has any; None where no place is known.

        The default counts from the configuration file's folder alone: a `patches` folder that happens to lie in the
        working folder may be anybody's.
        """
        folder = Path(self.settings.patches.folder).expanduser()
        if not self.settings.patches.folder:
            return None
        if self.file is not None and self.sources["patches.folder"] in ("default", str(self.file)):
            return self.file.absolute().parent / folder
        return None if self.sources["patches.folder"] == "default" else folder.absolute()

    def path_of(self, key: str) -> Path | None:
        """The file that a `section.key` names, from the folder of the configuration file if that names it; None: none.

        What a variable or an option names counts from the working folder.
        """
        if not (name := str(value_of(self.settings, key))):
            return None
        file = Path(name).expanduser()
        if self.file is not None and self.sources[key] == str(self.file):
            file = self.file.absolute().parent / file
        return file.absolute()

    @property
    def patches_required(self) -> bool:
        """Whether a person named the patch queue, so that it must be there.

        A configuration file that spells the default out names none.
        """
        named = self.sources["patches.folder"] not in ("default", str(self.file))
        return named or self.settings.patches.folder != Patches().folder


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
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, value, source in _layers(file, flags or {}, environ):
        *path, name = key.split(".")
        table = merged
        for part in path:
            table = table.setdefault(part, {})
        table[name] = value
        sources[key] = source
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        raise refusal(details[0], sources, _every_table(_profiles_in(merged)), {"upstream.hold": Held}) from error
    return Config(settings, {key: sources.get(key, "default") for key in known_keys(settings.profiles)}, file)


def known_keys(profiles: Iterable[str] = BUILT_IN) -> list[str]:
    """Every `section.key` there is, in the order of the file.

    Args:
        profiles: names of the profiles, whose keys are `profiles.NAME.key`.
    """
    return [
        f"{table}.{field.alias or name}"
        for table, model in _every_table(profiles).items()
        for name, field in model.model_fields.items()
    ]


def value_of(settings: Settings, key: str) -> object:
    """The value that holds for a `section.key`, as it may be shown: with stars for a profile's secrets."""
    *path, name = key.split(".")
    table: object = settings.profiles[path[1]].without_secrets() if path[1:] else getattr(settings, path[0])
    value: object = getattr(table, name.replace("-", "_"))
    return value


def _every_table(profiles: Iterable[str]) -> dict[str, type[Section]]:
    return {**_sections(), **{f"{_PROFILES}.{name}": Profile for name in profiles}}


def _profiles_in(merged: Mapping[str, Any]) -> dict[str, None]:
    return dict.fromkeys((*BUILT_IN, *merged.get(_PROFILES, {})))


def _sections() -> dict[str, type[Section]]:
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }


def _layers(
    file: Path | None, flags: Mapping[str, object], environ: Mapping[str, str]
) -> Iterator[tuple[str, object, str]]:
    tables = dict(_tables(file)) if file is not None else {}
    for table, values in tables.items():
        for name, value in values.items():
            yield f"{table}.{name}", value, str(file)
    profiles = [table.partition(".")[2] for table in tables if "." in table]
    keys = known_keys(dict.fromkeys((*BUILT_IN, *profiles)))
    _check_variables(environ, keys)
    for key in keys:
        variable = _variable(key)
        if variable in environ:
            yield key, _from_text(key, environ[variable]), variable
    for key, value in flags.items():
        if value is not None:
            yield key, value, "command line"


def _tables(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of a file by their dotted names, of which no part has a dot of its own."""
    for section, values in _parse(file).items():
        if section == _PROFILES and isinstance(values, dict):
            for name, table in values.items():
                key = f"{section}.{check_name(name)}"
                yield key, _table(key, table, file) or {"kind": name}
        elif section in _sections() and isinstance(values, dict):
            yield section, _table(section, values, file)
        else:
            raise unknown(section, [*_sections(), _PROFILES], str(file))


def _table(name: str, values: object, file: Path) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise UsageError(f"{name} in {file} is no table.", f"Write [{name}] and its keys.")
    if dotted := next((key for key in values if "." in key), None):
        raise unknown(f"{name}.{dotted}", known_keys(), str(file))
    return values


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}.", "Mend that line.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", "Check its permissions.") from error


def _from_text(key: str, text: str) -> object:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if key.endswith(".extra-arguments"):
        return _words(key, text)
    if key == "build.features":
        return parts
    if key == "build.definitions" or key.endswith(".environment"):
        pairs = [part.partition("=") for part in parts]
        if wrong := next((part for part, equals, _ in pairs if not equals), None):
            # What stands behind a comma in a variable of a server may be a part of a secret.
            shown = "a part" if key.endswith(".environment") else repr(wrong)
            raise UsageError(f"{_variable(key)} holds {shown} that has no value.", "Write NAME=VALUE,NAME=VALUE.")
        return {name.strip(): value.strip() for name, _, value in pairs}
    return _holds(_variable(key), text) if key == "upstream.hold" else text


def _holds(variable: str, text: str) -> object:
    """Holds from a variable: as the file has them, or in its own short form."""
    if text.lstrip().startswith("["):
        try:
            return tomllib.loads(f"hold = {text.strip()}")["hold"]
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{variable} is not TOML: {error}.", HOLDS) from error
    try:
        return parse_holds(text)
    except ValueError as error:
        raise UsageError(f"{variable} holds {str(error)!r}, which gives no reason.", HOLDS) from error


def _words(key: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{_variable(key)} cannot be split into words: {error}.", "Close every quote.") from error


def _variable(key: str) -> str:
    return "BUILDER_" + key.upper().replace(".", "_").replace("-", "_")


def _check_variables(environ: Mapping[str, str], keys: Iterable[str]) -> None:
    """Refuse variables that look like ours and are none; those of other sections are somebody else's."""
    known = [_variable(key) for key in keys]
    ours = tuple(f"BUILDER_{section.upper()}_" for section in (*_sections(), _PROFILES))
    for name in environ:
        if name.startswith(ours) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else "See `builder config`."
            raise UsageError(f"There is no setting for the variable {name}.", hint)
