"""A server from its start to its end, asked for everything that its profile takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.engine.container_memory import watch_memory
from builder.gates.finding import Finding, bad
from builder.gates.gate import Scene
from builder.gates.serving.container_memory import NAME as CONTAINER_MEMORY
from builder.gates.serving.container_memory import container_memory
from builder.gates.serving.ending import ended, has_ended, not_started, stop
from builder.gates.serving.start import start
from builder.gates.serving.trial import Trial
from builder.gates.smoke.answers import TOKENS, chat, completion, properties, streaming, tokenize
from builder.gates.smoke.counters import metrics, slots
from builder.gates.smoke.health_check import NAME as HEALTH_CHECK
from builder.gates.smoke.health_check import health_check
from builder.gates.smoke.live import Live, Look
from builder.gates.smoke.memory import memory
from builder.gates.smoke.pace import NAME as FIRST_ANSWER
from builder.gates.smoke.pace import Pace, first_patience, measure_pace
from builder.gates.smoke.users import users
from builder.gates.smoke.vectors import embeddings
from builder.gates.verdict import Outcome
from builder.profiles import ProfileKind
from builder.server.address import Address
from builder.server.answers import Deviation, TooLate
from builder.server.client import Client
from builder.server.log import LogFacts, read_log
from builder.server.running import RunningServer, ServerNotStarted, Serving, serve

_FIRST: Mapping[str, Look] = {"properties": properties, "tokenize": tokenize}
_LAST: Mapping[str, Look] = {"slots": slots, "metrics": metrics, "users": users, "memory": memory}
LOOKS: Mapping[ProfileKind, Mapping[str, Look]] = {
    "chat": {**_FIRST, "completion": completion, "chat": chat, "streaming": streaming, **_LAST},
    "embedding": {**_FIRST, "embeddings": embeddings, **_LAST},
}
"""What is asked by the kind of profile, in this order, after the server is healthy and its pace known."""


def looks_of(kind: ProfileKind) -> tuple[str, ...]:
    """Names of all that a whole course looks at, but for the health check, which not every image has."""
    return ("start", FIRST_ANSWER, *LOOKS[kind], CONTAINER_MEMORY, "stop")


@dataclass(frozen=True)
class Course:
    """How a server fared.

    Attributes:
        whole: it became healthy, was asked everything, and did not end before it was asked to.
    """

    findings: tuple[Finding, ...]
    facts: LogFacts = field(default_factory=LogFacts)
    whole: bool = False

    @property
    def started(self) -> bool:
        """Whether it came as far as its model."""
        return bool(self.facts.buffers)


@dataclass
class _Watched:
    """What was seen of a server so far.

    Attributes:
        died_at: the look during which it ended by itself; empty where it did not.
        asked: how many requests it has got.
        whole: all there is was looked at.
    """

    server: RunningServer
    findings: list[Finding] = field(default_factory=list)
    died_at: str = ""
    asked: int = 0
    whole: bool = False

    def take(self, name: str, finding: Finding) -> bool:
        """Keep a finding, unless the server has ended, which then is what there is to say; whether to go on."""
        failed = finding.check.outcome is not Outcome.PASS
        if failed and has_ended(self.server):
            self.died_at = name
            return False
        self.findings.append(finding)
        return True


def run_course(trial: Trial, what: Serving, scene: Scene, log: Path) -> Course:
    """Start a server, look at all there is, and end it.

    Args:
        log: file that gets all the server says.

    Raises:
        CommandTimeout: the engine did not answer in time.
        MachineError: no engine answers, or the disk is full.
    """
    try:
        with serve(what, scene.engine, scene.runner, log=log, run_id=scene.run_id) as server:
            watched = _Watched(server)
            _watch(watched, trial, what, scene, log)
            state = server.state()
    except ServerNotStarted as refusal:
        return Course((not_started(refusal.ending),))
    facts = read_log(log, trial.needs)
    if not watched.died_at:
        return Course(tuple(watched.findings), facts, whole=watched.whole)
    end = ended(watched.died_at, state, facts, what.memory, watched.asked)
    return Course((*watched.findings, end), facts)


def _watch(watched: _Watched, trial: Trial, what: Serving, scene: Scene, log: Path) -> None:
    server = watched.server
    if server.address is None:
        watched.take("start", bad("start", "The engine published no port for it."))
        return
    with watch_memory(scene.engine.endpoint, server.name) as memory_watch:
        pace = _begin(watched, server.address, trial)
        if pace is None or not _ask(watched, server.address, trial, log, pace):
            return
        healthy = health_check(trial, server, scene)
        if healthy and not watched.take(HEALTH_CHECK, healthy):
            return
    held = container_memory(memory_watch.peak, trial.profile.memory_limit, blind=memory_watch.blind)
    watched.findings += (held, stop(server, what.memory))
    watched.whole = True


def _begin(watched: _Watched, address: Address, trial: Trial) -> Pace | None:
    """See it start, and how fast it answers; None where it comes to nothing."""
    with Client(address, first_patience(trial.profile)) as client:
        started = start(watched.server, client, trial.profile.health_limit)
        if not watched.take("start", started) or started.check.outcome is not Outcome.PASS:
            return None
        try:
            pace, finding = measure_pace(client, trial.profile)
        except Deviation as deviation:
            pace = Pace(0.0, float(trial.profile.answer_limit))
            finding = bad(FIRST_ANSWER, deviation.sentence, deviation.excerpt)
        watched.asked += client.asked
    return pace if watched.take(FIRST_ANSWER, finding) else None


def _ask(watched: _Watched, address: Address, trial: Trial, log: Path, pace: Pace) -> bool:
    """Ask for everything; whether the server is still there afterwards."""
    before = watched.asked
    with Client(address, pace.patience(TOKENS)) as client:
        live = Live(trial, watched.server, client, log, pace)
        for name, finding in _looks(live):
            watched.asked = before + client.asked
            if not watched.take(name, finding):
                return False
    return True


def _looks(live: Live) -> Iterator[tuple[str, Finding]]:
    for name, look in LOOKS[live.trial.profile.kind].items():
        try:
            finding = look(live)
        except TooLate as late:
            finding = bad(name, f"{late.sentence} {live.pace.why}", late.excerpt)
        except Deviation as deviation:
            finding = bad(name, deviation.sentence, deviation.excerpt)
        yield name, finding
