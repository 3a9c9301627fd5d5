"""Which image of the engine a word means, on every command line alike."""

from __future__ import annotations

import re

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.naming import absent
from builder.errors import UsageError
from builder.plan.plan import Variant
from builder.settings import Settings

CANDIDATE = "candidate"
"""The word for what was built last, whatever its tag is called."""
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def is_tag(word: str) -> bool:
    """Whether a word may be a tag alone, without the name of a repository."""
    return bool(_TAG.fullmatch(word))


def several(word: str, names: list[str]) -> UsageError:
    """The error for a word that means several images."""
    return UsageError(f"{word} may be any of {len(names)} images.", "Name one of these.", excerpt=tuple(names))


def candidate_of(engine: Engine, settings: Settings) -> str:
    """The name of the candidate; where each variant has one, of the one that is there.

    Raises:
        UsageError: several are.
        MachineError: the engine does not answer.
    """
    names = list(dict.fromkeys(map(settings.candidate, Variant)))
    if len(names) == 1:
        return names[0]
    there = [name for name in names if engine.image(name)]
    if len(there) > 1:
        raise several("The candidate", there)
    return (there or names)[0]


def references_of(engine: Engine, settings: Settings, word: str) -> tuple[str, ...]:
    """Names under which the engine may have the image that a word means, the likeliest first; none for no word.

    Args:
        word: `candidate`, a tag of our repository such as `latest`, or any name, ID or digest.

    Raises:
        UsageError: there is a candidate of several variants.
        MachineError: the engine does not answer.
    """
    if word == CANDIDATE:
        return (candidate_of(engine, settings),)
    own = (f"{settings.image.repository}:{word}",) if is_tag(word) else ()
    return (*own, word) if word.strip() else ()


def find_named(engine: Engine, settings: Settings, word: str) -> tuple[str, Image]:
    """The image of the engine that a word means, and the name by which it was found.

    Raises:
        UsageError: there is none, or several.
        MachineError: the engine does not answer.
    """
    references = references_of(engine, settings, word)
    for reference in references:
        if image := engine.image(reference):
            return reference, image
    raise absent(engine, references[-1] if references else word)
