"""Entries that come from outside, read strictly."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from builder.channels.ledger.values import Entry, canonical

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_Kind = TypeVar("_Kind", bound=Entry)


class EntryReader(Generic[_Kind]):
    """Reads entries of one kind of their JSON documents."""

    def __init__(self, kind: type[_Kind]) -> None:
        self._kind = kind

    def read(self, document: dict[str, Any]) -> _Kind:
        """An entry: nothing is missing, nothing is unknown, nothing is of another type.

        Raises:
            ValueError: it is not so; the text is part of a sentence.
        """
        from pydantic import ValidationError

        try:
            return self._adapter.validate_json(canonical(document), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from error

    @cached_property
    def _adapter(self) -> TypeAdapter[_Kind]:
        from pydantic import TypeAdapter

        return TypeAdapter(self._kind)
