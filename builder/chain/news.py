"""What an image brings that the adopted one has not: the commits between, where both are known."""

from __future__ import annotations

from builder.channels.promotion.opening import Tools
from builder.engine.images import Image
from builder.errors import BuilderError
from builder.plan.marks import OWN
from builder.tracking import watch
from builder.tracking.changes import Changes, changes
from builder.tracking.scene import Scope, behold
from builder.upstream.refs import is_full_commit


def news(adopted: Image | None, image: Image, tools: Tools) -> Changes | None:
    """The commits between two images; None where nobody can tell, as for what is not from a git repository."""
    ends = [one.labels.get(f"{OWN}commit", "") for one in (adopted, image) if one]
    if len(ends) < 2 or not all(map(is_full_commit, ends)) or ends[0] == ends[1]:  # noqa: PLR2004
        return None
    settings = tools.config.settings
    tracking = watch.Tools(tools.engine, tools.runner, tools.reporter, tools.paths, tools.logs.name)
    try:
        upstream = watch.Watch.of(settings, tracking)
        scene = behold(upstream, settings, tracking, Scope(adopted=False, offline=True))
        return upstream.mending(lambda: changes(scene, *ends))
    except BuilderError as error:
        tools.reporter.detail(f"What is new is not known: {error.cause}")
        return None
