"""Why a configuration is not taken, in words that name the key and where its value came from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from builder.errors import UsageError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from builder.section import Section

HOLDS = 'Write REF=REASON,REF=REASON, or a list as builder.toml has it: [{ ref = "b9282", reason = "slow" }].'
_SECRETIVE = ("environment", "extra-arguments")
"""Keys whose values may hold a secret, and are not repeated."""
Tables = Mapping[str, "type[Section]"]
"""What may be written, by the dotted name of its table."""


def refusal(detail: ErrorDetails, sources: Mapping[str, str], tables: Tables, nested: Tables) -> UsageError:
    """What to tell about one value that does not fit.

    Args:
        detail: what pydantic says.
        sources: where each value came from, by its key.
        tables: the tables there are.
        nested: what the values of a key are made of, by that key.
    """
    where = [part for part in detail["loc"] if isinstance(part, str)]
    table = next((name for end in (2, 1) if (name := ".".join(where[:end])) in tables), "")
    names = where[table.count(".") + 1 :]
    why = f": {detail['ctx']['error']}" if detail["type"] == "value_error" else ""
    if not names:
        return UsageError(f"{table} in {_source(table, sources)} does not fit together{why}.", "Change one of the two.")
    key = f"{table}.{names[0]}"
    source = sources.get(key, "the configuration")
    if detail["type"] == "extra_forbidden":
        inside = nested.get(key) if names[1:] else None
        return unknown_inside(key, names[1], inside, source) if inside else unknown(key, _keys(tables), source)
    if names[1:] and key in nested and detail["type"] in ("missing", "string_too_short"):
        return UsageError(f"{key} in {source} has an entry without `{names[1]}`{_entry(detail)}.", HOLDS)
    value = "what stands there" if names[0] in _SECRETIVE else repr(detail["input"])
    return UsageError(f"{key} in {source} cannot be {value}{why}.", _hint(tables[table], names[0]))


def _entry(detail: ErrorDetails) -> str:
    """Which entry of a list is meant, as far as its values tell."""
    if isinstance(detail["input"], dict) and (
        values := [f"{key} = {value!r}" for key, value in detail["input"].items()]
    ):
        return f": {{ {', '.join(values)} }}"
    place = next((part for part in detail["loc"] if isinstance(part, int)), 0)
    return f" (entry {place + 1})"


def unknown(key: str, known: Iterable[str], source: str) -> UsageError:
    """What to tell about a key that there is not."""
    known = list(known)
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
    return UsageError(f"Unknown key `{key}` in {source}.", hint)


def unknown_inside(key: str, name: str, model: type[Section], source: str) -> UsageError:
    """What to tell about a key of a value that is a table itself."""
    near = difflib.get_close_matches(name, model.model_fields, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(model.model_fields)}."
    return UsageError(f"Unknown key `{key}.{name}` in {source}.", hint)


def _keys(tables: Tables) -> list[str]:
    return [f"{table}.{f.alias or name}" for table, model in tables.items() for name, f in model.model_fields.items()]


def _source(table: str, sources: Mapping[str, str]) -> str:
    found = [source for key, source in sources.items() if key.startswith(f"{table}.")]
    return found[-1] if found else "the configuration"


def _hint(model: type[Section], name: str) -> str:
    field = model.model_fields.get(name.replace("-", "_"))
    if field is not None and (choices := _choices(field.annotation)):
        return f"Choose from {', '.join(choices)}."
    told = (field.description if field else None) or "see builder.toml"
    span = _span(field.metadata) if field is not None else ""
    return f"It takes {span}: {told}." if span else f"It takes: {told}."


def _span(metadata: Iterable[object]) -> str:
    """Between which numbers a value has to be, in words; empty where none are said."""
    least = most = ""
    for bound in metadata:
        if (value := getattr(bound, "ge", None)) is not None:
            least = f"{value:g}"
        elif (value := getattr(bound, "gt", None)) is not None:
            least = f"more than {value:g}"
        most = f"{value:g}" if (value := getattr(bound, "le", None)) is not None else most
    if least and most:
        return f"{least}, {most} at most" if least.startswith("more") else f"{least} to {most}"
    return f"{least} or more" if least and not least.startswith("more") else least or (most and f"{most} at most")


def _choices(annotation: object) -> tuple[str, ...]:
    """What a list chooses its items from."""
    item = next(iter(get_args(annotation)), None) if get_origin(annotation) is tuple else None
    return get_args(item) if get_origin(item) is Literal else ()
