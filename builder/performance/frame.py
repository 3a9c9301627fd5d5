"""What a record says beside its runs: what was measured, where, and what was asked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.engine.images import Image
from builder.performance.effort import Effort, Work
from builder.performance.prepare import Prepared
from builder.performance.record import ModelRecord, SubjectRecord
from builder.plan.marks import PLAN, STANDARD

if TYPE_CHECKING:
    from builder.profiles import Profile

_IMMUTABLE = re.compile(r"[bv]?[0-9]")
_CHANNEL = re.compile(r"[a-z][a-z0-9-]*")


def subject_record(prepared: Prepared) -> SubjectRecord:
    """A subject as the record holds it."""
    subject = prepared.subject
    served = Served(subject.profile_name, subject.profile, prepared.model.path, prepared.digest)
    return describe(subject.name, subject.reference, subject.image, served, subject.variation.settings)


@dataclass(frozen=True)
class Served:
    """A profile with its model.

    Attributes:
        digest: of the model's file, `sha256:` and 64 digits.
    """

    profile_name: str
    profile: Profile
    model: Path
    digest: str


def describe(
    name: str, reference: str, image: Image, served: Served, overrides: Mapping[str, str] | None = None
) -> SubjectRecord:
    """An image that serves a profile, as records hold it.

    Args:
        name: what the record calls it, such as `A`.
        reference: the image in the words it was asked for.
        overrides: what of the profile is otherwise than configured.
    """
    labels = image.labels
    references = (reference, *image.references)
    repository, tag = next((split for one in references if (split := split_reference(one))[1]), ("", ""))
    named = split_reference(reference) == (repository, tag)
    return SubjectRecord(
        name=name,
        reference=reference,
        image=image.id,
        repo_digests=image.repo_digests,
        repository=repository,
        channel=tag if named and is_channel(tag) else "",
        build=labels.get(f"{STANDARD}version", "") if PLAN in labels else "",
        plan=labels.get(PLAN, ""),
        profile=served.profile_name,
        settings=settings_of(served.profile),
        overrides=overrides or {},
        model=ModelRecord(name=served.model.name, digest=served.digest, size=served.model.stat().st_size),
    )


def split_reference(reference: str) -> tuple[str, str]:
    """Name and tag of an image, such as `host:5000/llama` and `candidate`; both empty where it has no tag."""
    name, _, _ = reference.partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag or repository == "sha256":
        return "", ""
    return repository, tag


def is_channel(tag: str) -> bool:
    """Whether a tag is one that moves, such as `candidate`; immutable ones begin with a build or a release."""
    return bool(_CHANNEL.fullmatch(tag)) and not _IMMUTABLE.match(tag)


def settings_of(profile: Profile) -> Mapping[str, str]:
    """A profile as text by the keys of builder.toml, without what is secret."""
    return {
        key: _spelled(value)
        for key, value in profile.without_secrets().model_dump(by_alias=True, exclude={"answer_limit"}).items()
    }


def arguments_of(effort: Effort, work: Work) -> Mapping[str, str]:
    """What every run asked for, as text: tokens of prompts and answers, and how often."""
    return {
        "prompts": ", ".join(f"{name} {tokens}" for name, tokens in work.lengths.items()),
        "answer": str(work.answer),
        "texts": str(work.texts),
        "llama-bench": f"pp{work.bench_prompt} tg{work.bench_answer}",
        "effort": effort.name,
        "times": ", ".join(f"{name} {number}" for name, number in sorted(work.times.items())),
        "turns": str(work.turns),
        "repetitions": str(work.repetitions),
    }


def host_of(identity: str) -> str:
    """What tells a machine from all others and nothing else of it; empty where it is not known."""
    from hashlib import sha256

    return sha256(f"builder {identity}".encode()).hexdigest()[:16] if identity else ""


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return " ".join(f"{name}={setting}" for name, setting in value.items())
    return shlex.join(value) if isinstance(value, tuple) else str(value)
