"""Chats: prompts of each length by a user that is alone, then all users at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import median

from builder.performance.effort import USERS, Work
from builder.performance.lengths import LONG, NEAR, SHORT
from builder.performance.load import Figures, Readings, Samples, Step
from builder.performance.prompts import Prompts
from builder.performance.replies import Reply, read_reply
from builder.performance.wire import Request, Spent, request
from builder.profiles import Profile
from builder.server.client import chat_request

_PATH = "/v1/chat/completions"
_SHARE, _SECONDS = 0.10, 0.005
"""By how much our clock and the server's may differ: connections and the stream's own time are ours alone."""
_CLOCKS = "This program's clock and the server's own say different things"
_WARM = 8


def chat_steps(profile: Profile, work: Work, prompts: Prompts) -> Iterator[Step]:
    """What is asked, in this order."""
    lengths = work.lengths
    longest = next(name for name in (NEAR, LONG, SHORT) if name in lengths)
    for name, tokens in lengths.items():
        texts = (prompts.text(tokens, f"{name}/{number}") for number in range(work.times.get(name, 1)))
        asked = tuple(ask(text, work.answer) for text in texts)
        yield Step(name, (asked,), partial(_alone, name, work.answer, name == longest))
    crowd = tuple(
        tuple(ask(prompts.text(lengths[SHORT], f"user {user}/{turn}"), work.answer) for turn in range(work.turns))
        for user in range(profile.users)
    )
    yield Step(USERS, crowd, partial(_together, profile.users, work.answer))


def chat_warm_up(profile: Profile, work: Work, prompts: Prompts) -> Iterator[Step]:
    """Every shape of work once, so that what is done at first use alone is done."""
    for name, tokens in work.lengths.items():
        yield Step(name, ((ask(prompts.text(tokens, f"warm {name}"), 2),),), _nothing)
    crowd = tuple((ask(prompts.text(_WARM, f"warm user {user}"), _WARM),) for user in range(profile.users))
    yield Step(USERS, crowd, _nothing)


def ask(text: str, tokens: int) -> Request:
    """A chat that is streamed and as long as it is asked to be, nothing of it from a cache."""
    wanted = {"stream": True, "stream_options": {"include_usage": True}, "ignore_eos": True}
    return request(_PATH, {**chat_request(text, tokens), **wanted})


def _nothing(_done: Readings, _spent: Spent) -> Figures:
    return Figures({})


def _alone(name: str, tokens: int, longest: bool, done: Readings, _spent: Spent) -> Figures:
    replies = [read_reply(one, tokens) for one in done[0]]
    samples = dict(_times(name, replies))
    if name == SHORT:
        samples["generation/alone"] = tuple(reply.speed for reply in replies if reply.speed)
    if longest:
        samples["prompt/alone"] = tuple((reply.prompt_tokens or 0) / reply.first for reply in replies)
    return Figures(_known(samples), tuple(_disagreements(name, replies)))


def _together(users: int, tokens: int, done: Readings, spent: Spent) -> Figures:
    replies = [read_reply(one, tokens) for user in done for one in user]
    made = sum(reply.tokens for reply in replies)
    return Figures({**_times(str(users), replies), f"throughput/{users}": (made / spent.seconds,)})


def _times(name: str, replies: Sequence[Reply]) -> Samples:
    return _known(
        {
            f"ttft/{name}": tuple(reply.first for reply in replies),
            f"itl/{name}": tuple(gap for reply in replies for gap in reply.gaps),
            f"e2e/{name}": tuple(reply.whole for reply in replies),
        }
    )


def _known(samples: Samples) -> Samples:
    """Without figures that are empty or, for want of what the server should say, nothing."""
    return {name: values for name, values in samples.items() if values and any(values)}


def _disagreements(name: str, replies: Sequence[Reply]) -> Iterator[str]:
    """Where our clock and the server's say different things, one of them is not measuring what it should."""
    told = [(reply, reply.timings) for reply in replies if reply.timings]
    pairs: Mapping[str, list[tuple[float, float]]] = {
        "to the first token": [(reply.first, timings.prompt_ms / 1000) for reply, timings in told],
        "from the first token to the last": [(reply.speaking, timings.predicted_ms / 1000) for reply, timings in told],
    }
    for what, seconds in pairs.items():
        differing = [pair for pair in seconds if abs(pair[0] - pair[1]) > _SHARE * pair[1] + _SECONDS]
        if len(differing) > len(seconds) / 2:
            ours, theirs = (median(one) * 1000 for one in zip(*seconds, strict=True))
            yield f"{_CLOCKS}: {name} {what}, {ours:.1f} ms here and {theirs:.1f} ms there."
