"""Does a server that chats answer what it is asked?"""

from __future__ import annotations

import re

from builder.gates.finding import Finding, bad, good, unknown
from builder.gates.smoke.live import Live
from builder.gates.smoke.pace import TEXT
from builder.plan.marks import OWN
from builder.server.answers import Completion, Properties, Timings
from builder.server.log import read_log
from builder.server.models.shape import ModelKind
from builder.server.models.vocabulary import sentence_pieces
from builder.upstream.revision import UNKNOWN_BUILD_NUMBERS

TOKENS = 48
_CHAT_TOKENS = 24
_BUILD = re.compile(r"b(?P<number>\d{1,9})-(?P<commit>[0-9a-z]{4,40})")
_FEWEST_DIGITS = 7


def properties(live: Live) -> Finding:
    """Does `/props` name the build that was stamped into the image, and the slots of the profile?"""
    name, said = "properties", live.client.properties()
    if said.total_slots != live.profile.slots:
        return bad(name, f"/props says {said.total_slots} slots, the profile {live.profile.slots}.")
    labels = live.trial.image.labels
    number, commit = labels.get(f"{OWN}build-number", ""), labels.get(f"{OWN}commit", "").removesuffix("-dirty")
    place, build = _build(live, said)
    if build is None:
        return unknown(name, "Neither /props of this server nor its log names a build.")
    shown = f"{place} says b{build[0]}-{build[1]}"
    if not number:
        return unknown(name, f"{shown}; no label of the image says what was built.")
    if not _same_number(build[0], number) or not _same_commit(build[1], commit):
        return bad(name, f"{shown}; the image's labels say build {number}, commit {commit[:9]}.")
    return good(name, f"{shown}, as the image's labels do, and {said.total_slots} slots.")


def _build(live: Live, said: Properties) -> tuple[str, tuple[int, str] | None]:
    """Where a build is named, and which; servers before the summer of 2025 name it only in their log."""
    if said.build_info is None:
        return "Its log", read_log(live.log).build
    found = _BUILD.match(said.build_info)
    return "/props", (int(found["number"]), found["commit"]) if found else None


def tokenize(live: Live) -> Finding:
    """Does a text become tokens, and the same text again?"""
    name = "tokenize"
    tokens = live.client.tokenize(TEXT)
    if not tokens or tokens != live.client.tokenize(TEXT):
        return bad(name, f"The same text became {len(tokens)} tokens and then others.")
    if live.profile.kind == "chat":
        back = live.client.detokenize(tokens)
        if back.strip() != TEXT:
            return bad(name, "A text that became tokens did not become the same text again.", (back[:200],))
    return good(name, f"{len(TEXT)} characters became {len(tokens)} tokens.")


def completion(live: Live) -> Finding:
    """Does it go on with a prompt for as long as it is asked to, and as the model has to?"""
    name = "completion"
    answer = live.client.complete(TEXT, TOKENS)
    figures = {
        "prompt_per_second": round(answer.timings.prompt_per_second, 1),
        "predicted_per_second": round(answer.timings.predicted_per_second, 1),
    }
    if answer.tokens_predicted != TOKENS:
        return bad(name, f"Asked for {TOKENS} tokens, it made {answer.tokens_predicted}.", (), figures)
    if wrong := _insane(answer.timings, TOKENS):
        return bad(name, wrong, (str(answer.timings),), figures)
    if wrong := _unforetold(live, answer):
        return bad(name, wrong, (answer.content[:200],), figures)
    speed = f"{answer.timings.predicted_per_second:.0f} tokens/s"
    return good(name, f"It made the {TOKENS} tokens that it was asked for, at {speed}.", figures)


def chat(live: Live) -> Finding:
    """Does it answer a user?"""
    name = "chat"
    answer = live.client.chat(TEXT, _CHAT_TOKENS)
    made = answer.usage.completion_tokens
    if not 0 < made <= _CHAT_TOKENS or (made < _CHAT_TOKENS and answer.finish != "stop"):
        return bad(name, f"Asked for at most {_CHAT_TOKENS} tokens, it made {made} and ended by {answer.finish}.")
    if not answer.text and live.trial.model.made:
        return bad(name, f"It made {made} tokens and said nothing.")
    return good(name, f"It answered with {made} tokens to {answer.usage.prompt_tokens}.")


def streaming(live: Live) -> Finding:
    """Does an answer come in pieces, and is it the same that comes as a whole?"""
    name = "streaming"
    streamed = live.client.stream_chat(TEXT, _CHAT_TOKENS)
    whole = live.client.chat(TEXT, _CHAT_TOKENS)
    if not streamed.ended:
        return bad(name, f"A stream ended after {len(streamed.pieces)} pieces without saying so.")
    if len(streamed.pieces) < 2 <= whole.usage.completion_tokens:  # noqa: PLR2004
        return bad(name, f"An answer of {whole.usage.completion_tokens} tokens came in {len(streamed.pieces)} pieces.")
    if streamed.text != whole.text:
        shown = (f"in pieces: {streamed.text[:150]}", f"as a whole: {whole.text[:150]}")
        return bad(name, "An answer in pieces is another one than as a whole.", shown)
    return good(name, f"An answer came in {len(streamed.pieces)} pieces, the same as it comes as a whole.")


def _same_number(said: int, stamped: str) -> bool:
    if not stamped.isdecimal():
        return said in UNKNOWN_BUILD_NUMBERS
    return said == int(stamped)


def _same_commit(said: str, stamped: str) -> bool:
    if stamped in {"", "unknown"}:
        return said == "unknown"
    return len(said) >= min(_FEWEST_DIGITS, len(stamped)) and (stamped.startswith(said) or said.startswith(stamped))


def _insane(timings: Timings, tokens: int) -> str:
    if timings.predicted_n != tokens:
        return f"Its timings speak of {timings.predicted_n} tokens; it made {tokens}."
    if timings.prompt_n < 1 or min(timings.prompt_ms, timings.predicted_ms) <= 0:
        return "Its timings are not those of a computation."
    return ""


def _unforetold(live: Live, answer: Completion) -> str:
    """The model that is made on the spot has one right way to go on with a text."""
    made = live.trial.model.made
    if made is None or made.kind is not ModelKind.LLAMA:
        return ""
    vocabulary = sentence_pieces(made.shape.vocabulary)
    last = live.client.tokenize(TEXT)[-1]
    foretold = vocabulary.spell(vocabulary.foretell(last, TOKENS))
    if answer.content.lstrip() == foretold.lstrip():
        return ""
    return f"It does not compute what the model says, which goes on with: {foretold[:60]}"
