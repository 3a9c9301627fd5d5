"""The patch queue on an upstream revision, as readable functions over stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.config import Config
from builder.console import Reporter
from builder.errors import UsageError
from builder.paths import Paths
from builder.process import Runner
from builder.settings import Settings
from builder.source.desk import Request
from builder.source.patches.add import Added, add
from builder.source.patches.bench import Bench
from builder.source.patches.explain import Explanation, explain
from builder.source.patches.judge import Judgement, judge
from builder.source.patches.queue import PatchQueue, QueuePlace
from builder.source.patches.refresh import Refreshed, Step, refresh
from builder.source.patches.rewrite import open_queue
from builder.source.prepare import open_bench
from builder.upstream.choice import without_minimum
from builder.upstream.revision import Revision
from builder.upstream.selection import Policy


def queue_place(config: Config) -> QueuePlace | None:
    """Where the configuration has the queue; None where it has none."""
    return QueuePlace(config.patches_folder, config.patches_required) if config.patches_folder else None


@dataclass(frozen=True)
class Desk:
    """What the work on a queue needs.

    Attributes:
        place: where the queue is, or will be.
    """

    settings: Settings
    place: QueuePlace
    paths: Paths
    runner: Runner
    reporter: Reporter

    @classmethod
    def of(cls, config: Config, paths: Paths, runner: Runner, reporter: Reporter) -> Desk:
        """The desk that a configuration describes.

        Raises:
            UsageError: it names no folder for the queue.
        """
        place = queue_place(config)
        if place is None:
            raise UsageError(
                "There is no patch queue: none is named, and no builder.toml lies here or above.",
                "Work beside a builder.toml, or name the folder with --patches.",
            )
        return cls(config.settings, place, paths, runner, reporter)

    def queue(self) -> PatchQueue:
        """The queue as it is.

        Raises:
            SourceError: it is not in order.
        """
        return open_queue(self.place, self.paths.patches, self.reporter.notice)

    @contextmanager
    def bench(self, ref: str | None = None) -> Iterator[tuple[Bench, Revision]]:
        """A revision as a place to try patches on.

        Args:
            ref: None is the one that the settings name.
        """
        upstream = self.settings.upstream
        policy = without_minimum(Policy.of(self.settings))
        request = Request(upstream.origin, ref or upstream.ref, upstream.repository, upstream.fallback, policy)
        with open_bench(request, paths=self.paths, runner=self.runner, reporter=self.reporter) as opened:
            yield opened


@dataclass(frozen=True)
class Checked:
    """A queue on a revision."""

    revision: Revision
    judgement: Judgement


def check_queue(desk: Desk) -> Checked:
    """Try every patch of the queue on the revision that the settings name.

    Raises:
        SourceError: the queue is not in order, or the revision cannot be had.
    """
    queue = desk.queue()
    with desk.bench() as (bench, revision):
        return Checked(revision, judge(bench, queue.patches))


def explain_patch(desk: Desk, name: str) -> tuple[Revision, Explanation]:
    """All about one patch of the queue on the revision that the settings name.

    Raises:
        SourceError: there is no such patch, the queue is not in order, or the revision cannot be had.
    """
    queue = desk.queue()
    patch = queue.find(Path(name).name)
    with desk.bench() as (bench, revision):
        judgement = judge(bench, queue.patches)
        return revision, explain(bench, patch, judgement, queue.patches.index(patch))


def refresh_queue(desk: Desk, step: Step) -> Refreshed | None:
    """Put the queue on the revision that the settings name, or go on with that.

    Returns:
        None where it was aborted.

    Raises:
        BuilderError: as `builder.source.patches.refresh.refresh`.
    """
    queue = desk.place
    return refresh(queue.folder, desk.paths.patches, step, desk.bench, desk.reporter.notice, required=queue.required)


def add_patch(desk: Desk, target: str, *, force: bool) -> Added:
    """Try a patch file, a commit or a pull request after the queue and write it to its end.

    Raises:
        BuilderError: as `builder.source.patches.add.add`.
    """
    return add(desk.place.folder, desk.paths.patches, target, desk.bench, desk.reporter.notice, force=force)
