"""A server that is started, asked the same questions alone and together, and gone again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar
from uuid import uuid4

from builder.gates.correctness.questions import TOKENS, Question
from builder.gates.finding import Finding, bad, unknown
from builder.gates.gate import Scene
from builder.gates.serving.ending import ended, has_ended, not_started
from builder.gates.serving.start import start
from builder.gates.serving.trial import Trial
from builder.gates.verdict import Outcome
from builder.server.answers import Deviation, TooLate
from builder.server.client import Client
from builder.server.flags import Telling, arguments
from builder.server.foresight import Step
from builder.server.help import Help
from builder.server.log import LogFacts, read_log
from builder.server.running import PORT, RunningServer, ServerNotStarted, model_in_container, serve

LIKELY = 10
"""Tokens whose probabilities are asked for at each step."""
Vector = tuple[float, ...]
_Said = TypeVar("_Said")


@dataclass(frozen=True)
class Answer(Generic[_Said]):
    """What a server said to a question.

    Attributes:
        together: whether others were asked at the same time.
    """

    question: Question
    together: bool
    said: _Said

    @property
    def occasion(self) -> str:
        """Where it was given, as a person would look for it."""
        company = "asked together with others" if self.together else "asked alone"
        return f"after a prompt of {self.question.size}, {company}"


@dataclass(frozen=True)
class Responses(Generic[_Said]):
    """All that a server said.

    Attributes:
        label: how it was started, such as `with f16 caches`.
        facts: what its log says.
    """

    label: str
    answers: tuple[Answer[_Said], ...]
    facts: LogFacts

    def each(self, change: Callable[[_Said], _Said]) -> Responses[_Said]:
        """The same with every answer changed."""
        return replace(self, answers=tuple(replace(one, said=change(one.said)) for one in self.answers))


Ask = Callable[[Client], tuple[Answer[_Said], ...]]


@dataclass(frozen=True)
class Stand:
    """Where an image's servers are asked.

    Attributes:
        known: what its server can be told.
        patience: seconds for one answer.
    """

    trial: Trial
    known: Help
    scene: Scene
    patience: float = 120.0

    def with_profile(self, **values: object) -> Stand:
        """The same with a profile that says otherwise.

        Args:
            values: fields of the profile.
        """
        return replace(self, trial=replace(self.trial, profile=self.trial.profile.model_copy(update=values)))

    def query(self, label: str, ask: Ask[_Said]) -> Responses[_Said] | Finding:
        """What a server says; what is wrong with one that does not come to an end of it.

        Args:
            label: how it is started, such as `with f16 caches`.

        Raises:
            CommandTimeout: the engine did not answer in time.
            MachineError: no engine answers, or the disk is full.
        """
        trial = self.trial
        words = arguments(
            trial.profile, self.known, model_in_container(trial.model.path), PORT, telling=Telling.COMPUTING
        ).words
        log = self.scene.logs / f"correctness-{label.replace(' ', '-')}-{uuid4().hex[:8]}.log"
        what = trial.serving(words, self.known, self.scene.engine.info().memory)
        try:
            with serve(what, self.scene.engine, self.scene.runner, log=log, run_id=self.scene.run_id) as server:
                said = self._said(server, log, what.memory, ask)
        except ServerNotStarted as refusal:
            said = not_started(refusal.ending)
        if isinstance(said, Finding):
            return _labelled(said, label)
        return Responses(label, said, read_log(log, trial.needs))

    def _said(
        self, server: RunningServer, log: Path, memory: str, ask: Ask[_Said]
    ) -> tuple[Answer[_Said], ...] | Finding:
        if server.address is None:
            if server.state().running:
                return unknown("start", "The engine published no port for it.")
            return self._end(server, log, memory, "start", 0)
        with Client(server.address, self.patience) as client:
            started = start(server, client, self.trial.profile.health_limit)
            if started.check.outcome is not Outcome.PASS:
                return self._end(server, log, memory, "start", 0) if has_ended(server) else started
            try:
                return ask(client)
            except Deviation as deviation:
                if has_ended(server):
                    return self._end(server, log, memory, "answers", client.asked)
                return _astray(deviation)

    def _end(self, server: RunningServer, log: Path, memory: str, look: str, asked: int) -> Finding:
        return ended(look, server.state(), read_log(log, self.trial.needs), memory, asked)


def _astray(deviation: Deviation) -> Finding:
    """What there is to say of a wrong answer; one that is late may be right."""
    if isinstance(deviation, TooLate):
        return unknown("answers", f"{deviation.sentence} Judge it on a faster machine.")
    return bad("answers", deviation.sentence, deviation.excerpt)


def ask_for_tokens(questions: Sequence[Question]) -> Ask[tuple[Step, ...]]:
    """Ask to go on with prompts: one after another, then all at once."""

    def say(client: Client, question: Question) -> tuple[Step, ...]:
        return client.foresee(question.prompt, TOKENS, LIKELY)

    def ask(client: Client) -> tuple[Answer[tuple[Step, ...]], ...]:
        from concurrent.futures import ThreadPoolExecutor

        alone = [Answer(question, False, say(client, question)) for question in questions]
        with ThreadPoolExecutor(len(questions)) as pool:
            said = pool.map(lambda question: say(client, question), questions)
            together = [Answer(question, True, one) for question, one in zip(questions, said, strict=True)]
        return (*alone, *together)

    return ask


def ask_for_vectors(texts: Sequence[Question]) -> Ask[Vector]:
    """Ask for vectors: one after another, then all in one request."""

    def ask(client: Client) -> tuple[Answer[Vector], ...]:
        every = [text.prompt for text in texts]
        alone = [Answer(text, False, vector) for text in texts for vector in client.embed([text.prompt])]
        vectors = client.embed(every)
        if len(vectors) != len(texts):
            raise Deviation(f"/v1/embeddings gave {len(vectors)} vectors for {len(texts)} texts.")
        return (*alone, *(Answer(text, True, vector) for text, vector in zip(texts, vectors, strict=True)))

    return ask


def _labelled(finding: Finding, label: str) -> Finding:
    check = finding.check
    return Finding(replace(check, detail=f"Started {label}: {check.detail}"), finding.measurements)
