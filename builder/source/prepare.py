"""From what the configuration asks for to a tree on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from builder.console import Reporter
from builder.errors import UsageError
from builder.paths import Paths
from builder.process import Runner
from builder.source.desk import Desk, Request
from builder.source.patches.bench import Bench
from builder.source.patches.lay import Layer
from builder.source.patches.memory import Memory
from builder.source.patches.queue import PatchQueue
from builder.source.store import KeptTree, TreeStore
from builder.source.tree import SourceTree
from builder.upstream.choice import without_minimum
from builder.upstream.git import Damaged
from builder.upstream.repository import CommitSupply
from builder.upstream.revision import UNKNOWN_BUILD_NUMBERS, Revision
from builder.upstream.supply import Supply


def prepare(
    request: Request,
    *,
    build_number: int | None = None,
    paths: Paths,
    runner: Runner,
    reporter: Reporter,
    queue: PatchQueue | None = None,
) -> SourceTree:
    """Have a tree on disk, fetched and written out only as far as it is not there yet.

    Args:
        build_number: what a person knows the build number to be; overrides what the origin says.
        queue: patches to lay on it; None lays none.

    Raises:
        UsageError: the origin, the ref or the number is malformed, or a pin is older than the policy's minimum.
        SourceError: the source cannot be had, is damaged, or is no llama.cpp tree; the policy leaves nothing; or a
            patch does not apply.
        MachineError: git is missing, or the disk is full.
    """
    if build_number is not None:
        if build_number in UNKNOWN_BUILD_NUMBERS or build_number < 0:
            raise UsageError(f"Build number {build_number} means unknown.", "Give the real number, or none.")
        request = replace(request, policy=without_minimum(request.policy))
    request.check()
    layer = _layer(queue or PatchQueue.empty(), paths, runner, reporter)
    supply, laid = Desk(request, layer.keep, paths, runner, reporter).serve()
    revision = _completed(supply.revision, laid.kept, build_number)
    return SourceTree(laid.kept.path, revision, laid.kept.digest, laid.statuses, laid.digest)


@contextmanager
def open_bench(
    request: Request, *, paths: Paths, runner: Runner, reporter: Reporter
) -> Iterator[tuple[Bench, Revision]]:
    """Where patches are tried on a revision, and what is known of it; fetched only as far as patches need it.

    A mirror that turns out to be broken meanwhile is made anew for the next try. Errors are those of `prepare`.
    """
    request.check()
    layer = _layer(PatchQueue.empty(), paths, runner, reporter)
    with ExitStack() as stack:

        def use(supply: Supply) -> tuple[Bench, Revision]:
            base = None if isinstance(supply, CommitSupply) else layer.store.keep(supply)
            bench = stack.enter_context(layer.bench(supply, base))
            return bench, _completed(supply.revision, base, None) if base else supply.revision

        desk = Desk(request, use, paths, runner, reporter)
        opened = desk.serve()[1]
        try:
            yield opened
        except Damaged as damage:
            desk.renew(damage)
            raise Damaged(damage.cause, "It has been mirrored anew: try again.") from damage


def _layer(queue: PatchQueue, paths: Paths, runner: Runner, reporter: Reporter) -> Layer:
    return Layer(queue, TreeStore(paths.trees, reporter.notice), Memory(paths), runner, reporter)


def _completed(revision: Revision, kept: KeptTree, build_number: int | None) -> Revision:
    return replace(
        revision,
        commit=revision.commit or kept.traces.commit,
        committed=revision.committed or kept.traces.committed,
        release=revision.release or kept.release,
        build_number=revision.build_number if build_number is None else build_number,
    )
