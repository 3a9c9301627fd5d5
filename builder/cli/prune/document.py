"""What may go, and what went, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.cli import forms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.channels.retention.build_cache import CacheSurvey
    from builder.channels.retention.prune import Removal, Survey
    from builder.channels.retention.rules import Row


def document(
    surveys: Sequence[Survey], done: Mapping[Row, Removal], cache: CacheSurvey | None, *, applied: bool
) -> dict[str, object]:
    """JSON-ready data.

    Args:
        done: what was tried to be taken away.
        cache: what of the build cache may go; None where that was not asked for.
        applied: whether it was to be taken away.
    """
    return {
        "schema_version": forms.SCHEMA,
        "applied": applied,
        "places": [
            {
                "place": survey.place,
                "freed": survey.freed,
                "unread": survey.unread.cause if survey.unread else None,
                "images": [_row_document(row, done.get(row)) for row in survey.rows],
            }
            for survey in surveys
        ],
        "build_cache": _cache_document(cache, applied=applied) if cache else None,
    }


def _cache_document(cache: CacheSurvey, *, applied: bool) -> dict[str, object]:
    return {
        "freed": cache.size,
        "records": cache.records,
        "removed": applied and not cache.why,
        "failure": cache.why or None,
    }


def _row_document(row: Row, result: Removal | None) -> dict[str, object]:
    item = row.item
    return {
        "names": list(item.names),
        "digest": item.digest,
        "size": item.size,
        "since": item.since.isoformat() if item.since else None,
        "keep": row.keep,
        "why": row.why,
        "removed": bool(result and result.done),
        "failure": (result.why or None) if result else None,
    }
