"""Which image is meant, and by what it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builder.channels.ledger.ledger import Ledger
from builder.channels.ledger.values import is_digest
from builder.channels.places.engine import is_keeper
from builder.channels.words import is_tag, references_of, several
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.naming import TESTS_SUFFIX
from builder.plan.marks import OWN, PLAN, STANDARD
from builder.plan.tag import tag_of
from builder.settings import Settings

_ID_DIGITS = 12


@dataclass(frozen=True)
class Target:
    """An image that tags are to name.

    Attributes:
        id: what the engine calls it, or will once it has it.
        labels: its labels.
        shown: what a person calls it.
        is_here: whether the engine has it.
    """

    id: str
    labels: Mapping[str, str]
    shown: str
    is_here: bool = True

    @property
    def name(self) -> str:
        """The build's name, such as `b10991`; the beginning of its ID where it does not say."""
        version = self.labels.get(f"{STANDARD}version", "")
        return version if is_tag(version) else self.id.removeprefix("sha256:")[:_ID_DIGITS]

    @property
    def variant(self) -> str:
        """`cuda` or `cpu`; empty where it does not say."""
        return self.labels.get(f"{OWN}variant", "")

    @property
    def tag(self) -> str:
        """The tag that is its own and never moves."""
        return immutable_tag(self.labels) or f"id-{self.id.removeprefix('sha256:')[:_ID_DIGITS]}"


def target_of(image: Image, repository: str) -> Target:
    """An image of the engine, by its own tag where it has that, else by any name, else by its ID."""
    bare = Target(image.id, image.labels, image.id)
    own = f"{repository}:{bare.tag}"
    shown = own if own in image.references else next(iter(image.references), image.id)
    return Target(image.id, image.labels, shown)


def immutable_tag(labels: Mapping[str, str]) -> str | None:
    """The tag that an image of ours was given when it was built, by its labels; None where they do not tell."""
    name, plan = labels.get(f"{STANDARD}version", ""), labels.get(PLAN, "")
    cuda, patches = (_given(labels.get(f"{OWN}{key}", "")) for key in ("cuda", "patches"))
    tag = tag_of(name, cuda, patches, plan)
    return tag if name and is_digest(plan) and is_tag(tag) else None


def _given(label: str) -> str | None:
    return None if label in ("", "none") else label


def find_here(engine: Engine, ledger: Ledger, settings: Settings, word: str) -> Image | None:
    """The image of the engine that a word means: a tag of the repository, a name, an ID, a digest, or a build's name.

    Args:
        settings: what images and channels are called.
        word: such as `candidate`, `b10991`, `b10991-cpu-3b0016a650`, `local-ai-llama:latest`, `sha256:...`.

    Raises:
        UsageError: several builds have that name.
        MachineError: no engine answers.
    """
    for reference in (*references_of(engine, settings, word), *_same(ledger, word)):
        if image := engine.image(reference):
            return image
    return _only_build(engine, settings.image.repository, word) if is_tag(word) else None


def is_build_of(tag: str, word: str) -> bool:
    """Whether a tag is the own one of an image of a build with this name."""
    return tag.startswith(f"{word}-") and not tag.endswith(TESTS_SUFFIX) and not is_keeper(tag)


def _same(ledger: Ledger, word: str) -> Iterator[str]:
    """Other digests of the image with the one that a word holds."""
    digest = word.rpartition("@")[2]
    if is_digest(digest):
        yield from ledger.images.same(digest)


def _only_build(engine: Engine, repository: str, word: str) -> Image | None:
    references = [name for name in engine.references_of(repository) if is_build_of(name.rpartition(":")[2], word)]
    images = {image.id: image for name in references if (image := engine.image(name))}
    if len(images) > 1:
        raise several(word, references)
    return next(iter(images.values()), None)
