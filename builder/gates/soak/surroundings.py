"""What else than the image may have made a soak slower: the GPU's clocks, neighbours, and this program itself."""

from __future__ import annotations

from collections.abc import Iterator

from builder.performance.conditions import NEIGHBOUR, NEIGHBOURS_UNSEEN, SLOWED_SHARE, slowdown_unseen
from builder.performance.sentences import plural
from builder.performance.soak.figures import foreign_cores, sent_late
from builder.performance.soak.run import Soaked

_OFTEN = 0.02
"""Share of the requests that may be sent late before medians over all of them are in doubt."""


def doubts_on_waits(seen: Soaked) -> str:
    """Why single long waits need not be the image's, in sentences; empty where nothing is known."""
    return " ".join((*disturbances(seen), *delays(seen)))


def doubts_on_trends(seen: Soaked) -> str:
    """Why what is usual may have changed without the image, in sentences; empty where nothing is known."""
    often = len(sent_late(seen.series)) > _OFTEN * len(seen.series.requests)
    return " ".join((*disturbances(seen), *(delays(seen) if often else ())))


def disturbances(seen: Soaked) -> Iterator[str]:
    """What made the machine slower for a time, or may have."""
    _, slowed = seen.series.column("gpu_slowed")
    if slowed and sum(slowed) > SLOWED_SHARE * len(slowed):
        why = ", ".join(seen.slow_reasons)
        yield f"The GPU was slowed down ({why}) at {sum(slowed) / len(slowed):.0%} of the looks."
    foreign = foreign_cores(seen.series)
    if foreign is not None and foreign > NEIGHBOUR:
        yield f"Others took {foreign:.1f} of this machine's cores meanwhile."


def delays(seen: Soaked) -> Iterator[str]:
    """That this program sent requests later than it should, where it did: together with those after them."""
    if late := sent_late(seen.series):
        what = f"{plural(len(late), 'request')} of {len(seen.series.requests)}"
        yield f"This program was held up and sent {what} late, by up to {max(late):.1f} s: run it where cores are free."


def unseen(seen: Soaked, *, on_gpu: bool) -> Iterator[str]:
    """What may have disturbed it and could not be looked for."""
    if on_gpu and not seen.series.column("gpu_slowed")[1]:
        yield slowdown_unseen(seen.gpu_absence)
    if not on_gpu and foreign_cores(seen.series) is None:
        yield NEIGHBOURS_UNSEEN
