"""Records as files: one JSON document each, written whole, read back strictly."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from builder.errors import SourceError
from builder.staging import disk_errors

_LARGEST = 256 * 1024 * 1024
"""Bytes beyond which a file is no record of ours."""

Document = TypeVar("Document", bound=BaseModel)


def read_document(file: Path, form: type[Document], *, what: str, command: str) -> Document:
    """Read a record back.

    Args:
        form: its model, which has a `schema_version`.
        what: what it is, for people, such as `record of a soak`.
        command: what writes it, such as `builder soak`.

    Raises:
        SourceError: it is no such record, is damaged, or another version of the program wrote it.
        MachineError: it cannot be read.
    """
    remedy = f"Name one that `{command}` wrote."
    with disk_errors(file.parent):
        if file.stat().st_size > _LARGEST:
            raise SourceError(f"{file} is too large for a {what}.", remedy)
        content = file.read_bytes()
    try:
        return form.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise _refused(file, error, form, what, remedy) from error


def _refused(file: Path, error: ValidationError, form: type[BaseModel], what: str, remedy: str) -> SourceError:
    first = min(error.errors(), key=lambda detail: detail["loc"] != ("schema_version",))
    if first["type"] == "json_invalid":
        return SourceError(f"{file} is no JSON document: {first['msg']}.", f"It is damaged, or no {what}.")
    place = ".".join(str(part) for part in first["loc"])
    if place == "schema_version":
        known = form.model_fields["schema_version"].default
        return SourceError(
            f"{file} is a {what} of version {first['input']!r}, and this program reads {known}.",
            "Read it with the program that wrote it.",
        )
    return SourceError(f"{file} is no {what}: {place}: {first['msg']}.", remedy)
