"""Images that are measured at a person's wish: found, given a GPU, made ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.channels.ledger.ledger import open_ledger
from builder.channels.words import find_named
from builder.engine.gpu_choice import GpuChoice
from builder.engine.images import Image
from builder.errors import UsageError
from builder.gates.gate import Scene
from builder.gates.measuring import tools_of
from builder.lanes import open_lanes
from builder.performance.archive import Archive
from builder.performance.bench import Over, Result, Wish, bench
from builder.performance.config import rules_of
from builder.performance.effort import EFFORTS
from builder.performance.errors import CouldNotMeasure
from builder.performance.prepare import prepare
from builder.performance.progress import Progress
from builder.performance.settings import parse_changes
from builder.performance.subject import subjects_of
from builder.plan.marks import OWN
from builder.plan.plan import Variant
from builder.profiles import choose

_ABANDONED = 10.0
"""Seconds after which what a dead run left is removed: it would be a neighbour of what is measured."""


@dataclass(frozen=True)
class Asked:
    """What a person asks to be measured.

    Attributes:
        images: by name, ID or digest; one, or two that are compared.
        profile: a profile of the configuration.
        changes: what is to be otherwise in it, as `--set` takes it.
        gpus: `auto` (the first), `none`, or a number or UUID.
        target: what a sweep is for; empty takes the time to first token.
        baseline: rounds of an image that is measured alone; 0 takes as many as a comparison has at least.
    """

    images: tuple[str, ...]
    profile: str
    changes: tuple[str, ...] = ()
    gpus: str = "auto"
    target: str = ""
    baseline: int = 0


def run_bench(asked: Asked, scene: Scene, progress: Progress, over: Over) -> Result:
    """Measure what is asked for, by the rules of the configuration.

    Args:
        scene: without a GPU.
        over: gets the record once rounds are over, whatever ended them.

    Raises:
        UsageError: there is no such image, profile, key or GPU, or a value does not fit.
        CouldNotMeasure: containers do not get the GPU, an image does not start, or the first look failed.
        MachineError: no engine answers, the disk is full, or the driver is too old for the image's CUDA.
    """
    settings = scene.config.settings
    choose(settings.profiles, (asked.profile,))
    changes = parse_changes(asked.changes, settings.profiles)
    found = [find_named(scene.engine, settings, word) for word in asked.images]
    subjects = subjects_of(found, asked.profile, settings.profiles[asked.profile], changes)
    scene.engine.sweep(older_than=_ABANDONED)
    tools = tools_of(_with_gpu([image for _, image in found], asked.gpus, scene))
    wanted = settings.performance
    wish = Wish(EFFORTS[wanted.effort], rules_of(wanted), asked.baseline, asked.target)
    archive = Archive(scene.paths.benches, scene.reporter.notice)
    return bench(prepare(subjects, tools), wish, tools, archive, progress, over)


def adopted_images(ledger: Path, repository: str) -> frozenset[str]:
    """All digests of the images of a repository that were adopted at some time; none where there is no ledger.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    if not ledger.exists():
        return frozenset()
    with open_ledger(ledger) as opened, opened.at_once():
        moves = [move for move in opened.promotions.history(repository) if move.result == "done"]
        return frozenset(digest for move in moves for digest in opened.images.same(move.after))


def _with_gpu(images: Sequence[Image], gpus: str, scene: Scene) -> Scene:
    """The scene with the one GPU that is measured on, where any image computes on one."""
    choice = GpuChoice.parse(gpus)
    if choice.kind == "all" or len(choice.names) > 1:
        raise UsageError("What is compared is measured on one GPU.", "Give auto, or one number or UUID.")
    wanting = [image for image in images if image.labels.get(f"{OWN}variant") == Variant.CUDA]
    lane = open_lanes((wanting or images)[0], choice, scene, needed=True)[0]
    if lane.refusal:
        raise CouldNotMeasure(lane.refusal, "Measure on a GPU that containers get and whose driver serves the image.")
    return lane.scene
