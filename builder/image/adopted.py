"""Which build the adopted image is: by its labels if it is ours, else by asking its server once."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import MachineError
from builder.image.labels import OWN, PLAN
from builder.paths import Paths
from builder.process import Runner
from builder.staging import write_whole

if TYPE_CHECKING:
    from builder.server.probe import Answer

_LIMIT = 60.0
"""Seconds for a server to print its version."""
_BELIEVED = 3600.0
"""Seconds for which it is believed that an image does not say its version: that may be this machine's fault."""
_UNKNOWN = "unknown"
_DIRTY = "-dirty"


@dataclass(frozen=True)
class Adopted:
    """What the moving tag of the adopted image names.

    Attributes:
        reference: the tag.
        image: ID of the image; None where there is none, or nobody could tell.
        absent: whether the engine says that there is none.
        number: build number; None is unknown.
        commit: whole or abbreviated; None is unknown.
        release: such as `0.5.0` or `0.5.0-dev`; None is unknown, or a build without one.
        note: what a person should know of how this was found; empty where the labels told.
    """

    reference: str
    image: str | None = None
    absent: bool = False
    number: int | None = None
    commit: str | None = None
    release: str | None = None
    note: str = ""

    @property
    def is_known(self) -> bool:
        """Whether it can be told which build it is."""
        return self.number is not None or self.commit is not None


@dataclass(frozen=True)
class Seen:
    """What the engine says of a reference: an image, or why there is none."""

    reference: str
    image: Image | None
    absent: bool
    note: str


def look(engine: Engine, references: Sequence[str]) -> Seen:
    """Look the adopted tag up; a machine without an engine is no error.

    Args:
        references: tags, of which the first that names an image counts; at least one.
    """
    for reference in references:
        try:
            image = engine.image(reference)
        except MachineError as error:
            return Seen(reference, None, absent=False, note=error.cause)
        if image:
            return Seen(reference, image, absent=False, note="")
    return Seen(references[0], None, absent=True, note=f"There is no image {references[0]} yet.")


def identify(seen: Seen, engine: Engine, runner: Runner, paths: Paths, run_id: str) -> Adopted:
    """Which build an image is; one that is not ours is asked once, and its answer kept by image ID.

    Args:
        run_id: what the container that asks is labelled with.
    """
    if seen.image is None:
        return Adopted(seen.reference, absent=seen.absent, note=seen.note)
    if PLAN in seen.image.labels:
        return _by_labels(seen.reference, seen.image)
    note = paths.versions / seen.image.id.removeprefix("sha256:")
    if (kept := _kept(note, seen.reference)) is not None:
        return kept
    try:
        answer = _ask(seen.image, engine, runner, run_id)
    except MachineError as error:
        return Adopted(seen.reference, seen.image.id, note=error.cause)
    adopted = _by_answer(seen.reference, seen.image, answer)
    write_whole(note, json.dumps(asdict(adopted)).encode())
    return adopted


def _ask(image: Image, engine: Engine, runner: Runner, run_id: str) -> Answer:
    from builder.server.probe import Prober
    from builder.server.subject import ImageSubject

    return Prober(runner, engine, run_id=run_id, timeout=_LIMIT).ask(ImageSubject(image.id))


def _by_labels(reference: str, image: Image) -> Adopted:
    number = image.labels.get(f"{OWN}build-number", "")
    return Adopted(
        reference,
        image.id,
        number=int(number) if number.isdecimal() else None,
        commit=_told(image.labels.get(f"{OWN}commit")),
        release=_told(image.labels.get(f"{OWN}release")),
    )


def _by_answer(reference: str, image: Image, answer: Answer) -> Adopted:
    version = answer.version
    if version is None:
        why = answer.failure.cause if answer.failure else "It said nothing."
        return Adopted(reference, image.id, note=f"It was not built here and does not say its version: {why}")
    note = "It was not built here; its server says so."
    return Adopted(reference, image.id, False, version.build_number, version.commit, version.release, note)


def _told(label: str | None) -> str | None:
    return None if label in (None, "", _UNKNOWN) else str(label).removesuffix(_DIRTY)


def _kept(note: Path, reference: str) -> Adopted | None:
    try:
        kept = Adopted(**{**json.loads(note.read_text(encoding="utf-8")), "reference": reference})
        return kept if kept.is_known or time.time() - note.stat().st_mtime < _BELIEVED else None
    except (OSError, ValueError, TypeError):
        return None
