"""What is measured: an image that serves a profile, each as it is or with something otherwise in it."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from builder.errors import UsageError
from builder.performance.settings import Change, Variation, vary
from builder.plan.marks import OWN

if TYPE_CHECKING:
    from builder.engine.images import Image
    from builder.profiles import Profile

_PAIR = 2


@dataclass(frozen=True)
class BenchSubject:
    """One of those that are compared.

    Attributes:
        name: `A` and `B`, or a number from 1 where there are more.
        reference: the image in the words it was asked for.
        profile_name: the profile's name in builder.toml.
        variation: the profile as it is served, and what is otherwise in it.
    """

    name: str
    reference: str
    image: Image
    profile_name: str
    variation: Variation

    @property
    def profile(self) -> Profile:
        """What is served, and how."""
        return self.variation.profile

    @property
    def on_gpu(self) -> bool:
        """Whether the image's labels say that it computes on a GPU."""
        return self.image.labels.get(f"{OWN}variant") == "cuda"

    @property
    def title(self) -> str:
        """The image and what is otherwise, on one line."""
        return f"{self.reference} {self.variation.words}".strip()


def subjects_of(
    images: Sequence[tuple[str, Image]], profile_name: str, profile: Profile, changes: Sequence[Change] = ()
) -> tuple[BenchSubject, ...]:
    """Every image with every variation of the profile.

    Args:
        images: each with the words it was asked for.
        changes: what is to be otherwise in the profile.

    Raises:
        UsageError: a value does not fit, or nothing is there to be measured.
    """
    if not images:
        raise UsageError("No image is there to be measured.", "Name one.")
    pairs = list(product(images, vary(profile_name, profile, changes)))
    names = string.ascii_uppercase if len(pairs) <= _PAIR else [str(number) for number in range(1, len(pairs) + 1)]
    return tuple(
        BenchSubject(name, reference, image, profile_name, variation)
        for name, ((reference, image), variation) in zip(names, pairs, strict=False)
    )
