"""Vectors: single texts and batches by a user that is alone, then all users at once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from builder.performance.effort import BATCH, USERS, Work
from builder.performance.lengths import SHORT
from builder.performance.load import Figures, Readings, Step
from builder.performance.prompts import Prompts
from builder.performance.replies import Embedded, read_vectors
from builder.performance.wire import Request, Spent, request
from builder.profiles import Profile
from builder.server.client import embedding_request

_PATH = "/v1/embeddings"


def vector_steps(profile: Profile, work: Work, prompts: Prompts) -> Iterator[Step]:
    """What is asked, in this order."""
    lengths = work.lengths
    for name, tokens in lengths.items():
        asked = tuple(_ask(prompts, tokens, f"{name}/{number}", 1) for number in range(work.times.get(name, 1)))
        yield Step(name, (asked,), partial(_alone, name, 1))
    batches = tuple(
        _ask(prompts, lengths[SHORT], f"{BATCH}/{number}", work.texts) for number in range(work.times.get(BATCH, 1))
    )
    yield Step(BATCH, (batches,), partial(_alone, BATCH, work.texts))
    crowd = tuple(
        tuple(_ask(prompts, lengths[SHORT], f"user {user}/{turn}", 1) for turn in range(work.turns))
        for user in range(profile.users)
    )
    yield Step(USERS, crowd, partial(_together, profile.users))


def vector_warm_up(profile: Profile, work: Work, prompts: Prompts) -> Iterator[Step]:
    """Every shape of work once, so that what is done at first use alone is done."""
    for name, tokens in work.lengths.items():
        yield Step(name, ((_ask(prompts, tokens, f"warm {name}", 1),),), _nothing)
    yield Step(BATCH, ((_ask(prompts, work.lengths[SHORT], "warm", work.texts),),), _nothing)
    yield Step(USERS, tuple((_ask(prompts, 8, f"warm {user}", 1),) for user in range(profile.users)), _nothing)


def _ask(prompts: Prompts, tokens: int, which: str, texts: int) -> Request:
    return request(_PATH, embedding_request([prompts.text(tokens, f"{which}/{number}") for number in range(texts)]))


def _nothing(_done: Readings, _spent: Spent) -> Figures:
    return Figures({})


def _alone(name: str, texts: int, done: Readings, _spent: Spent) -> Figures:
    found = [read_vectors(one, texts) for one in done[0]]
    samples = {f"embed/{name}": tuple(one.seconds for one in found)}
    if texts > 1:
        samples[f"vectors/{name}"] = tuple(_speed(one) for one in found)
    return Figures(samples)


def _together(users: int, done: Readings, spent: Spent) -> Figures:
    found = [read_vectors(one, 1) for user in done for one in user]
    total = sum(one.vectors for one in found)
    return Figures(
        {f"embed/{users}": tuple(one.seconds for one in found), f"vectors/{users}": (total / spent.seconds,)}
    )


def _speed(one: Embedded) -> float:
    return one.vectors / one.seconds
