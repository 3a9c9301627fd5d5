"""What the rounds so far say of one figure: an estimate, intervals at any level, and what more rounds would bring."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.performance.location import LEAST, locate
from builder.performance.rules import Rules, loss, ratio_of
from builder.performance.samples import Metric
from builder.performance.spending import tail

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

    from builder.performance.pairing import Pairs

_FURTHEST = 500
"""Rounds beyond which nobody waits."""
_LIKELY = 0.8


@dataclass(frozen=True)
class Evidence:
    """Differences of one figure; a loss is the logarithm of B over A, turned so that more is worse.

    Attributes:
        rounds: whole rounds that it rests on.
        loss: the estimate.
        error: its standard error; None where there is but one difference.
        freedom: degrees of freedom.
        spread: the usual scatter of one run against another of the same subject, as a share.
    """

    rounds: int
    loss: float
    error: float | None
    freedom: float
    spread: float | None

    def half_width(self, rules: Rules, level: float) -> float | None:
        """Half of the interval that holds at this look and all others; None before the first look."""
        if self.error is None or self.rounds < rules.least_rounds:
            return None
        return self._width_after(self.rounds, rules, level)

    def rounds_to_decide(self, limit: float, rules: Rules, level: float) -> int | None:
        """Further rounds after which it is known on which side of a limit the loss is, with four chances of five.

        That is if it is what it seems to be; None where it lies so near the limit that nobody could wait for it.
        """
        import numpy as np
        from scipy.special import ndtri

        if self.error is None:
            return None
        numbers = np.arange(max(self.rounds + 1, rules.least_rounds), _FURTHEST)
        errors = self.error * np.sqrt(self.rounds / numbers)
        needed = _width(self, numbers, rules, level) + float(ndtri(_LIKELY)) * errors
        enough = numbers[abs(self.loss - limit) >= needed]
        return int(enough[0]) - self.rounds if enough.size else None

    def chance_to_decide(self, limit: float, rules: Rules, level: float) -> float:
        """Probability that the last round there may be says on which side of a limit the loss is, from what is seen.

        The predictive probability of Spiegelhalter, Freedman and Blackburn (Controlled Clinical Trials 7, 1986), with
        nothing believed beforehand.
        """
        from scipy.special import ndtr

        last = rules.most_rounds
        if self.error is None or self.rounds < rules.least_rounds:
            return 1.0
        width = self._width_after(last, rules, level)
        still = self.error * math.sqrt(max(1 - self.rounds / last, 0.0))
        if not still:
            return float(abs(self.loss - limit) > width)
        return float(ndtr((limit - width - self.loss) / still) + ndtr((self.loss - limit - width) / still))

    def _width_after(self, number: int, rules: Rules, level: float) -> float:
        import numpy as np

        return float(_width(self, np.array([number]), rules, level)[0])


def evidence_of(pairs: Pairs, metric: Metric) -> Evidence | None:
    """What paired runs say of a figure; None where no round counts."""
    differences = pairs.differences.ravel()
    if not differences.size:
        return None
    rounds = len(pairs.rounds)
    if differences.size < LEAST:
        return Evidence(rounds, loss(metric, float(differences[0])), None, 0.0, None)
    found = locate(pairs.differences)
    spread = ratio_of(float(found.spread) / math.sqrt(2)) - 1
    return Evidence(rounds, loss(metric, float(found.middle)), float(found.error), float(found.freedom), spread)


def _width(evidence: Evidence, numbers: NDArray[int64], rules: Rules, level: float) -> NDArray[float64]:
    """Half of the interval after so many rounds that scatter like those so far."""
    import numpy as np
    from scipy.special import stdtrit

    tails = np.array([tail(int(number), rules.least_rounds, rules.most_rounds, level) for number in numbers])
    quantiles = stdtrit(evidence.freedom * numbers / evidence.rounds, 1 - tails)
    widths: NDArray[float64] = quantiles * (evidence.error or 0.0) * np.sqrt(evidence.rounds / numbers)
    return widths
