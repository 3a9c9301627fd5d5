"""How things stand, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.cli import forms

if TYPE_CHECKING:
    from builder.standing import Channel, Lane, Service, Standing


def document(standing: Standing) -> dict[str, object]:
    """JSON-ready data."""
    from dataclasses import asdict

    return {
        "schema_version": forms.SCHEMA,
        "repository": standing.repository,
        "has_drifted": standing.has_drifted,
        "unknown": standing.unknown or None,
        "channels": [_lane_document(lane) for lane in standing.lanes],
        "files": [{**asdict(one), "unread": one.unread or None} for one in standing.files],
        "services": [_service_document(one) for one in standing.services],
        "discrepancies": [asdict(one) for one in standing.discrepancies],
        "under_way": [entry.plain() for entry in standing.under_way],
    }


def _lane_document(lane: Lane) -> dict[str, object]:
    from dataclasses import asdict

    candidate = lane.candidate
    return {
        "variant": lane.variant or None,
        "adopted": _channel_document(lane.adopted),
        "previous": _channel_document(lane.previous),
        "candidate": {
            **_channel_document(candidate.channel),
            "is_adopted": candidate.is_adopted,
            "may_be_promoted": candidate.may_go,
            "lacks": [{**asdict(lack.requirement), "why": lack.why} for lack in candidate.lacks],
            "holds": [hold.plain() for hold in candidate.holds],
        },
    }


def _channel_document(channel: Channel) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "tag": channel.subject,
        "image": asdict(channel.build) if channel.build else None,
        "promotion": channel.promotion.plain() if channel.promotion else None,
    }


def _service_document(service: Service) -> dict[str, object]:
    from dataclasses import asdict

    one = service.container
    return {
        "container": one.name,
        "project": one.project or None,
        "service": one.service or None,
        "gpus": list(one.gpus),
        "digest": one.image,
        "image": asdict(service.build) if service.build else None,
        "status": one.status,
        "health": one.health or None,
        "started": one.started.isoformat() if one.started else None,
        "has_drifted": service.has_drifted,
    }
