"""How far apart two computations of the same numbers may be.

All were measured with made models on CPUs, against numpy in single precision, with servers of July and October 2024,
August 2025, spring and October 2026: prompts of 10, 300 and 1990 tokens and 24 tokens made of each, comparing the 10
most probable. Logarithms of probabilities differed, in the root of the mean square of one answer and at most:

| caches               | mean  | most  |
|----------------------|-------|-------|
| f32                  | 0.002 | 0.005 |
| f16, flash attention | 0.004 | 0.016 |
| bf16                 | 0.009 | 0.032 |
| q8_0                 | 0.032 | 0.144 |
| q5_0, q5_1           | 0.183 | 0.727 |
| q4_0, q4_1, iq4_nl   | 0.393 | 1.465 |

A GPU that multiplies in half precision and adds up 8 products at a time in half precision too would differ by 0.007 and
0.022 with f16 caches (computed in numpy). What is allowed is about three times as much as was found.

What is found with f16 caches, on the other hand (computed in numpy with an error built in; mean of the longest prompt):
no rotary embedding 1.76, one of other pairs 1.30, its base 5 % too large 0.90; no epsilon in norms 0.51, one that is
10 % too small 0.04; scores of attention 1 % too large 0.03; 32 of 2014 tokens overlooked 0.09 to 0.3.

Vectors of `bert` and `nomic-bert`, whatever the pooling, were less than 7e-7 from a cosine of 1, and their numbers
differed by 4e-4 at most.
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.profiles import CacheType, Profile


@dataclass(frozen=True)
class Tolerance:
    """What may be between two computations.

    Attributes:
        mean: the root of the mean square of differences.
        most: the largest difference.
    """

    mean: float
    most: float

    def __str__(self) -> str:
        return f"{self.mean:g} in the mean and {self.most:g} at most"


EXACT = Tolerance(0.02, 0.1)
"""Of logarithms of probabilities, where no cache is quantised."""
_BY_CACHE: dict[CacheType, Tolerance] = {
    "f32": EXACT,
    "f16": EXACT,
    "bf16": Tolerance(0.03, 0.12),
    "q8_0": Tolerance(0.08, 0.4),
    "q5_1": Tolerance(0.5, 2.0),
    "q5_0": Tolerance(0.5, 2.0),
    "q4_1": Tolerance(1.0, 4.0),
    "q4_0": Tolerance(1.0, 4.0),
    "iq4_nl": Tolerance(1.0, 4.0),
}
OWN_MODEL = Tolerance(0.15, 0.75)
"""Of logarithms of probabilities of a user's own model, on a GPU and on a CPU; an allowance and no measurement. Both
multiply quantised weights with numbers that they round to 8 bits, each in its own way."""
VECTOR = Tolerance(2e-5, 3e-3)
"""Of vectors: how far their cosine is from 1, and how far single numbers are apart."""
OWN_VECTOR = Tolerance(5e-3, 5e-2)
"""Of vectors of a user's own model, on a GPU and on a CPU; an allowance and no measurement."""


def of_caches(profile: Profile) -> Tolerance:
    """What the types of a profile's caches come to: the coarser decides."""
    both = (_BY_CACHE[profile.cache_type_k], _BY_CACHE[profile.cache_type_v])
    return max(both, key=lambda one: one.most)
