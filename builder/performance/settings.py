"""What is to be otherwise in a profile: `chat.ubatch=64`, or `chat.ubatch=64,128` where values are to be compared.

The names are those of builder.toml; llama-server's own words for the same things are taken too. `environment` is
followed by a variable's name, and an empty value leaves the variable out:
`chat.environment.GGML_CUDA_DISABLE_GRAPHS=,1` compares without and with.
"""

from __future__ import annotations

import difflib
import itertools
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import UsageError
from builder.refusals import refusal
from builder.secrets import without_secrets

if TYPE_CHECKING:
    from builder.profiles import Profile

_SOURCE = "--set"
_MOST = 12
"""Variations in one comparison; each costs a run in every round."""
_ENVIRONMENT, _EXTRA = "environment", "extra-arguments"
_SERVER_WORDS = {
    "ctx-size": "context",
    "batch-size": "batch",
    "ubatch-size": "ubatch",
    "flash-attn": "flash-attention",
    "n-gpu-layers": "gpu-layers",
    "cont-batching": "continuous-batching",
    "parallel": "slots",
}
_FORM = "Write PROFILE.KEY=VALUE, or PROFILE.KEY=VALUE,VALUE to compare values."


@dataclass(frozen=True)
class Change:
    """One thing that is to be otherwise, and the values it is to have in turn.

    Attributes:
        profile: its name.
        key: as builder.toml has it; `environment.NAME` for a variable.
    """

    profile: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Variation:
    """A profile with what is otherwise in it.

    Attributes:
        settings: what is otherwise, by key, as it may be shown: with stars for what is secret.
        notes: a sentence for each thing that had to change with it.
    """

    profile: Profile
    settings: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What is otherwise, on one line."""
        return ", ".join(f"{key}={value}" for key, value in self.settings.items())


def parse_changes(words: Iterable[str], profiles: Mapping[str, Profile]) -> tuple[Change, ...]:
    """Read what follows each `--set`.

    Raises:
        UsageError: it has another form, names no profile or no key, or names a key twice.
    """
    changes: list[Change] = []
    for word in words:
        change = _change(word, profiles)
        if any((change.profile, change.key) == (other.profile, other.key) for other in changes):
            name = f"{change.profile}.{change.key}"
            raise UsageError(f"{name} is set twice.", f"Write {_SOURCE} {name}=VALUE,VALUE to compare values.")
        changes.append(change)
    return tuple(changes)


def vary(name: str, profile: Profile, changes: Sequence[Change]) -> tuple[Variation, ...]:
    """The profile with every combination of the values, the last one changing fastest.

    Args:
        name: the profile's; changes to other profiles are refused.

    Raises:
        UsageError: a value does not fit, or there are too many combinations.
    """
    if other := next((change.profile for change in changes if change.profile != name), None):
        raise UsageError(f"{_SOURCE} changes the profile {other}, and {name} is measured.", f"Change {name}.")
    combinations = list(itertools.product(*(change.values for change in changes)))
    if len(combinations) > _MOST:
        raise UsageError(f"{len(combinations)} combinations of values are too many.", f"Compare {_MOST} at most.")
    keys = [change.key for change in changes]
    return tuple(_varied(name, profile, dict(zip(keys, values, strict=True))) for values in combinations)


def _change(word: str, profiles: Mapping[str, Profile]) -> Change:
    place, equals, value = word.partition("=")
    profile, dot, key = place.strip().partition(".")
    if not (equals and dot and key):
        raise UsageError(f"{word!r} says no value of a profile's key.", _FORM)
    if profile not in profiles:
        raise _unknown("profile", profile, profiles)
    key = _key(key, profiles[profile])
    values = (value,) if key == _EXTRA else tuple(part.strip() for part in value.split(","))
    if doubled := next((one for one in values if values.count(one) > 1), None):
        raise UsageError(f"{word!r} has the value {doubled!r} twice.", "Compare different values.")
    return Change(profile, key, values)


def _key(written: str, profile: Profile) -> str:
    head, _, variable = written.partition(".")
    head = head.replace("_", "-")
    head = _SERVER_WORDS.get(head, head)
    known = {(field.alias or name) for name, field in type(profile).model_fields.items()} - {"kind"}
    if head == "kind":
        raise UsageError("The kind of a profile cannot be otherwise.", "Measure another profile.")
    if head not in known:
        raise _unknown("key", head, (*sorted(known), *_SERVER_WORDS))
    if (head == _ENVIRONMENT) != bool(variable):
        form = f"Write {_ENVIRONMENT}.NAME=VALUE; only variables have a second part."
        raise UsageError(f"`{written}` is no key of a profile.", form)
    return f"{head}.{variable}" if variable else head


def _varied(name: str, profile: Profile, values: Mapping[str, str]) -> Variation:
    from pydantic import ValidationError

    written: dict[str, object] = {**profile.model_dump(by_alias=True), **dict(_typed(profile, values))}
    notes = tuple(_raised(profile, written, values))
    try:
        return Variation(type(profile).model_validate(written), dict(_shown(values)), notes)
    except ValidationError as error:
        table = f"profiles.{name}"
        detail = error.errors()[0]
        detail["loc"] = ("profiles", name, *detail["loc"])
        sources = {f"{table}.{key}": _SOURCE for key in written}
        raise refusal(detail, sources, {table: type(profile)}, {}) from error


def _typed(profile: Profile, values: Mapping[str, str]) -> Iterator[tuple[str, object]]:
    variables = dict(profile.environment)
    for key, value in values.items():
        head, _, variable = key.partition(".")
        if head == _ENVIRONMENT:
            variables.pop(variable, None)
            variables |= {variable: value} if value else {}
        elif head == _EXTRA:
            yield head, _split(value)
        else:
            yield head, value
    yield _ENVIRONMENT, variables


def _shown(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        head, _, variable = key.partition(".")
        if head == _ENVIRONMENT:
            yield key, without_secrets([f"{variable}={value}"])[0].removeprefix(f"{variable}=")
        else:
            yield key, shlex.join(without_secrets(_split(value))) if head == _EXTRA else value


def _split(value: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise UsageError(f"{_EXTRA} in {_SOURCE} cannot be split into words: {error}.", "Close every quote.") from error


def _raised(profile: Profile, written: dict[str, object], values: Mapping[str, str]) -> Iterator[str]:
    """A micro-batch above the batch takes the batch with it: a server would quietly compute with the smaller one."""
    ubatch = values.get("ubatch", "")
    if ubatch.isdecimal() and "batch" not in values and int(ubatch) > profile.batch:
        written["batch"] = ubatch
        yield f"With ubatch {ubatch} goes batch {ubatch}: the profile's batch of {profile.batch} would limit it."


def _unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
    return UsageError(f"There is no {what} {name!r} to set.", hint)
