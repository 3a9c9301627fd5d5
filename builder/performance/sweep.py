"""Which of several subjects to take, such as micro-batches of 64, 128 and 256.

The target is a named figure, or by default the time to first token over all prompt lengths together. Every subject is
held against the current one in what else decides, and against the best in the target. Intervals are the surer the more
pairs there are (Bonferroni), so the whole recommendation is wrong with at most the probability that the rules give.
What cannot be told from the best is said to be so, and the current one is kept where it is among that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from builder.performance.comparison import Direction, Judgement, Outcome, Question, compare
from builder.performance.limit import limit
from builder.performance.pairing import summarise
from builder.performance.planner import Step, Why
from builder.performance.rules import Rules, loss, ratio_of, usual_statistic
from builder.performance.samples import Metric, Run
from builder.performance.sentences import interval

_FIRST = ("ttft", "embed", "llama-bench", "throughput", "vectors")
"""What is the target where nobody names one: the first of these that was measured."""
_TARGET = "target"
_UNKNOWN = "is not known not to be worse"
_NEAR = 0.05
"""Share of the best within which another is as good."""


@dataclass(frozen=True)
class Recommendation:
    """What to take.

    Attributes:
        subject: its name; the current one where no other is shown to be better.
        decided: whether the rounds sufficed to tell every subject from the best, or to tell that it is near it.
        alike: subjects that cannot be told from the best, the best first.
        refused: for each subject that may not be taken, why.
        target: the figures that it is about.
        against_current: the target of every other subject against the current one.
        sentences: the recommendation and what it rests on, for people.
    """

    subject: str
    decided: bool
    alike: tuple[str, ...]
    refused: Mapping[str, str]
    target: tuple[str, ...]
    against_current: Mapping[str, Judgement]
    sentences: tuple[str, ...]
    step: Step


def recommend(
    runs: Sequence[Run],
    asked: Sequence[Question],
    rules: Rules,
    titles: Mapping[str, str],
    *,
    current: str,
    target: str = "",
    spent: float = 0.0,
) -> Recommendation:
    """Recommend one of several subjects.

    Args:
        asked: what was measured.
        titles: what people call each subject, by its name in the runs.
        current: the subject that is in use.
        target: first part of a figure's name or the whole; empty takes the time to first token.
        spent: seconds that the rounds so far have taken.

    Raises:
        ValueError: the current subject is none of them, there is no other, or no figure has the target's name.
    """
    others = [name for name in titles if name != current]
    if current not in titles or not others:
        raise ValueError(f"{current!r} has to be one of two or more subjects")
    aims = aims_of(asked, target)
    if not aims:
        raise ValueError(f"no figure {target or _FIRST[0]!r} was asked for")
    sure = _surer(rules, math.comb(len(titles), 2))
    aimed = _together(runs, aims)
    question = _question(aims)
    held = {name: compare(aimed, [question], sure, (current, name))[0] for name in others}
    guards = [one for one in asked if one not in aims and rules.allowance(one.metric) is not None]
    strict = _surer(rules, len(others))
    refused = {name: why for name in others if (why := _refusal(compare(runs, guards, strict, (current, name))))}
    best = _best(held, refused, current)
    beside = {name: compare(aimed, [question], sure, (best, name))[0] for name in titles if name != best}
    alike = (best, *(name for name in beside if not beside[name].direction.seen and name not in refused))
    chosen = current if current in alike else best
    measured = bool(held) and all(judgement.low is not None for judgement in held.values())
    decided = measured and all(_settled(judgement) for name, judgement in beside.items() if name not in refused)
    return Recommendation(
        subject=chosen,
        decided=decided,
        alike=alike,
        refused=refused,
        target=tuple(one.name for one in aims),
        against_current=held,
        sentences=tuple(_sentences(titles, chosen, current, alike, refused, held)),
        step=_step(runs, rules, spent, held.values(), decided=decided and not _open_guards(refused)),
    )


def aims_of(asked: Sequence[Question], target: str) -> list[Question]:
    """The questions that a target means; none where nothing of it was measured.

    Args:
        target: first part of a figure's name or the whole; empty takes the time to first token, or what there is.
    """
    usual = [one for one in asked if one.statistic is usual_statistic(one.metric)]
    for wanted in (target,) if target else _FIRST:
        if found := [one for one in usual if wanted in (one.metric.name, one.metric.name.partition("/")[0])]:
            return found
    return []


def _surer(rules: Rules, pairs: int) -> Rules:
    return replace(rules, confidence=1 - rules.level / pairs)


def _together(runs: Iterable[Run], aims: Sequence[Question]) -> list[Run]:
    """Runs with one sample: the geometric mean of the target's figures; none where one of them is missing."""
    made: list[Run] = []
    for run in runs:
        values = [summarise(run.samples.get(aim.metric.name), aim.statistic)[0] for aim in aims]
        known = [math.log(value) for value in values if value is not None]
        samples = {_TARGET: (ratio_of(sum(known) / len(known)),)} if len(known) == len(aims) else {}
        made.append(replace(run, samples=samples))
    return made


def _question(aims: Sequence[Question]) -> Question:
    metric = aims[0].metric
    joined = Metric(_TARGET, metric.unit, metric.better, metric.family)
    return Question(joined, usual_statistic(joined))


def _refusal(judgements: Iterable[Judgement]) -> str:
    """Why a subject may not be taken: what else decides is worse, or not known not to be."""
    for outcome, words in ((Outcome.WORSE, "is worse"), (Outcome.UNDECIDED, _UNKNOWN)):
        if found := [one for one in judgements if one.outcome is outcome]:
            named = ", ".join(f"{one.question.name} {interval(one)}".strip() for one in found)
            return f"{named} {words}"
    return ""


def _open_guards(refused: Mapping[str, str]) -> bool:
    return any(why.endswith(_UNKNOWN) for why in refused.values())


def _best(held: Mapping[str, Judgement], refused: Mapping[str, str], current: str) -> str:
    """The subject with the best estimate among those that may be taken."""
    losses = {current: 0.0}
    for name, judgement in held.items():
        if name not in refused and judgement.ratio is not None:
            losses[name] = loss(judgement.question.metric, math.log(judgement.ratio))
    return min(losses, key=lambda name: losses[name])


def _settled(judgement: Judgement) -> bool:
    """Whether a subject is told from the best, or known to be within 5 % of it."""
    if judgement.low is None or judgement.high is None:
        return False
    near = max(abs(math.log(judgement.low)), abs(math.log(judgement.high))) <= math.log1p(_NEAR)
    return judgement.direction in (Direction.SLOWER, Direction.MORE) or near


def _step(runs: Sequence[Run], rules: Rules, spent: float, judgements: Iterable[Judgement], *, decided: bool) -> Step:
    if decided:
        return Step(Why.DECIDED, "Every subject is told from the best, or within 5 % of it.")
    rounds = len({run.round for run in runs})
    counted = max((judgement.rounds for judgement in judgements), default=0)
    reached = limit(rules, most=rules.most_rounds, counted=counted, batch=rounds, rounds=rounds, spent=spent)
    if reached:
        return Step(Why.LIMIT, f"{reached}, and some subjects cannot be told apart.")
    return Step(Why.UNDECIDED, "Some subjects cannot be told apart yet.")


def _sentences(
    titles: Mapping[str, str],
    chosen: str,
    current: str,
    alike: Sequence[str],
    refused: Mapping[str, str],
    held: Mapping[str, Judgement],
) -> Iterable[str]:
    names = " and ".join(titles[name] for name in titles if name in alike)
    if chosen == current:
        apart = f"{names} cannot be told apart; " if len(alike) > 1 else "No other is better; "
        yield f"{apart}keep {titles[current]}, the current one."
    else:
        yield f"Take {titles[chosen]}: {interval(held[chosen])} beside {titles[current]}, the current one."
        if len(alike) > 1:
            yield f"{names} cannot be told apart; {titles[chosen]} has the better estimate."
    for name, why in refused.items():
        yield f"{titles[name]} is left out: {why}."
