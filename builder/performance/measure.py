"""One subject measured once: a server from its start to the end of its load, then llama-bench, each in a fresh
container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

from builder.errors import BuilderError
from builder.performance.bench_run import take_bench
from builder.performance.chats import ask, chat_steps, chat_warm_up
from builder.performance.conditions import (
    Conditions,
    Watch,
    gpu_conditions,
    gpu_neighbours,
    look_at_processor,
    processor_conditions,
    watching,
)
from builder.performance.effort import Work
from builder.performance.errors import CouldNotMeasure
from builder.performance.load import Step, take
from builder.performance.metrics import metric
from builder.performance.nearest import nearest_address
from builder.performance.prepare import Prepared
from builder.performance.prompts import Prompts
from builder.performance.resources import Meter
from builder.performance.samples import Metric, Run
from builder.performance.start import first_request, until_healthy
from builder.performance.tools import Moment, Tools
from builder.performance.vectors import vector_steps, vector_warm_up
from builder.performance.wire import Request, request
from builder.process import CommandTimeout
from builder.server.answers import Deviation
from builder.server.client import Client, embedding_request
from builder.server.running import RunningServer, ServerNotStarted, serve
from builder.server.startup import Driver, explain

if TYPE_CHECKING:
    from builder.engine.nvml import GpuWatch
    from builder.server.running import ServerState

_MIB = 1 << 20
_LAST_LINES = 6
_DYING, _PAUSE = 10.0, 0.1
"""Seconds between the last that is heard of a process and its end, and between two looks."""
_KILLED = 137
_FIRST_TEXT, _FIRST_TOKENS = "Tell me about the first question of the day.", 4


@dataclass(frozen=True)
class Place:
    """Where a run stands among all runs of a comparison.

    Attributes:
        round: from 1; another round, other texts. 0 is the first look, which counts for nothing and learns how much a
            slot takes.
        order: from 0.
    """

    round: int
    order: int


@dataclass(frozen=True)
class Measured:
    """What came of measuring a subject once.

    Attributes:
        run: what was measured, as far as it came.
        seconds: what each step took, by its name.
        notes: a sentence for each thing that a person should know of the figures.
        error: why not all of it could be measured; None where all was.
        log: file with all that the server said.
        took: seconds in all, starting and ending included.
        slot: tokens that a slot takes, as the server says; None where it did not come to that.
        unseen: what would keep the run from counting and could not be looked for, a sentence each.
    """

    run: Run
    seconds: Mapping[str, float]
    notes: tuple[str, ...]
    error: BuilderError | None
    log: Path
    took: float
    slot: int | None = None
    unseen: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What its samples are samples of."""
        return tuple(metric(name) for name in self.run.samples)


@dataclass
class _Book:
    """What was measured so far; it is kept whatever comes."""

    samples: dict[str, tuple[float, ...]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    conditions: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    slot: int | None = None
    processes: frozenset[int] = frozenset()

    def add(self, seen: Conditions) -> None:
        """Keep what was seen around a part of the run."""
        self.conditions.update(seen.figures)
        self.reasons += [seen.set_aside] if seen.set_aside else []
        self.unseen += [seen.unseen] if seen.unseen else []


def measure(prepared: Prepared, work: Work, place: Place, tools: Tools, gpu: GpuWatch | None = None) -> Measured:
    """Measure a subject once.

    Args:
        work: what is asked of it.
        gpu: what watches the GPU that it computes on; None where it computes on the processor.

    Returns:
        What was measured. Where the server ended, answered wrongly or did not get healthy in time, the error says so
        and what was measured before is there.

    Raises:
        MachineError: no engine answers, or the disk is full.
    """
    began = monotonic()
    book = _Book()
    log = tools.logs / f"bench-{place.order:03}-{prepared.subject.name}.log"
    error: BuilderError | None = None
    try:
        with watching(gpu) as watch:
            _serve(prepared, work, place, tools, watch, log, book)
            _bench(prepared, work, place, tools, watch, book)
            book.add(gpu_conditions(watch))
    except (CouldNotMeasure, CommandTimeout) as caught:
        error = caught
    run = Run(
        subject=prepared.subject.name,
        round=place.round,
        order=place.order,
        samples=book.samples,
        conditions=book.conditions,
        set_aside=" ".join(dict.fromkeys(book.reasons)),
    )
    notes, unseen = (tuple(dict.fromkeys(said)) for said in (book.notes, book.unseen))
    return Measured(run, book.seconds, notes, error, log, monotonic() - began, book.slot, unseen)


def _serve(prepared: Prepared, work: Work, place: Place, tools: Tools, watch: Watch, log: Path, book: _Book) -> None:
    tools.told(Moment(prepared.subject.name, place.round, "start"))
    try:
        with (
            serve(prepared.serving, tools.engine, tools.runner, log=log, run_id=tools.run_id) as server,
            _deaths(prepared, server, log),
        ):
            if server.address is None:
                raise Deviation("The engine published no port for the server.")
            with Client(server.address, timeout=work.limit) as client:
                book.samples.update(until_healthy(server, client, prepared.subject.profile.health_limit))
            with Client(nearest_address(server, server.address, tools.engine), timeout=work.limit) as client:
                _ask(prepared, work, place, server, client, watch, tools, book)
    except ServerNotStarted as refusal:
        failure = explain(refusal.ending, "", Driver.HANDED)
        said = (failure.excerpt,) if failure.excerpt else ()
        raise CouldNotMeasure(
            f"{prepared.subject.reference} does not start. {failure.cause}", failure.remedy, excerpt=said, log=log
        ) from refusal


def _ask(
    prepared: Prepared,
    work: Work,
    place: Place,
    server: RunningServer,
    client: Client,
    watch: Watch,
    tools: Tools,
    book: _Book,
) -> None:
    profile = prepared.subject.profile
    first = _first(prepared)
    book.samples.update(first_request(client.address, first, work.limit))
    book.slot = client.properties().slot_context or profile.context // profile.slots
    work = _fitting(prepared, work, place, book.slot)
    prompts = Prompts.for_server(lambda text: len(client.tokenize(text)), f"round {place.round}")
    tools.told(Moment(prepared.subject.name, place.round, "warm-up"))
    for _ in take(client.address, tuple(_warm_up(prepared, work, prompts)), work.limit):
        pass
    meter = Meter(server.name, tools.engine)
    before, moment = meter.read(), look_at_processor()
    for phase in take(client.address, _told(prepared, work, place, prompts, tools), work.limit):
        book.samples.update(phase.figures.samples)
        book.seconds[phase.name] = phase.seconds
        book.conditions[f"client_share/{phase.name}"] = phase.client
        book.notes += [*phase.figures.notes, *phase.notes]
    after, later = meter.read(), look_at_processor()
    spent = None if before.processor is None or after.processor is None else after.processor - before.processor
    book.samples.update(
        _known({"processor/load": spent, "memory/container": _mib(after.memory), "memory/gpu": watch.gpu_memory()})
    )
    book.add(processor_conditions(moment, later, spent, on_gpu=prepared.subject.on_gpu))
    book.processes = _processes(server, tools)
    book.add(gpu_neighbours(watch, book.processes))


def _bench(prepared: Prepared, work: Work, place: Place, tools: Tools, watch: Watch, book: _Book) -> None:
    if prepared.bench is None:
        return
    tools.told(Moment(prepared.subject.name, place.round, "llama-bench"))
    began = monotonic()
    done = take_bench(prepared, work, tools, watch, book.processes)
    book.samples.update(done.samples)
    for seen in done.conditions:
        book.add(seen)
    book.seconds["llama-bench"] = monotonic() - began


def _fitting(prepared: Prepared, work: Work, place: Place, slot: int) -> Work:
    """The work where it fits; the first look, after which it is decided how much that is, takes less."""
    if not place.round:
        return replace(work, room=work.room.within(slot))
    if slot < (needed := work.room.needed(work.answer)):
        raise CouldNotMeasure(
            f"{prepared.subject.title}: a slot takes {slot} tokens, and what all are asked needs {needed}.",
            "Leave it out, or compare in a smaller context.",
        )
    return work


def _steps(prepared: Prepared, work: Work, prompts: Prompts) -> Iterator[Step]:
    steps = vector_steps if prepared.subject.profile.embeddings else chat_steps
    return steps(prepared.subject.profile, work, prompts)


def _told(prepared: Prepared, work: Work, place: Place, prompts: Prompts, tools: Tools) -> Iterator[Step]:
    """The steps, made as a whole before the first is taken, for making them asks the server."""
    for step in tuple(_steps(prepared, work, prompts)):
        tools.told(Moment(prepared.subject.name, place.round, step.name))
        yield step


def _warm_up(prepared: Prepared, work: Work, prompts: Prompts) -> Iterator[Step]:
    steps = vector_warm_up if prepared.subject.profile.embeddings else chat_warm_up
    return steps(prepared.subject.profile, work, prompts)


def _first(prepared: Prepared) -> Request:
    if prepared.subject.profile.embeddings:
        return request("/v1/embeddings", embedding_request([_FIRST_TEXT]))
    return ask(_FIRST_TEXT, _FIRST_TOKENS)


@contextmanager
def _deaths(prepared: Prepared, server: RunningServer, log: Path) -> Iterator[None]:
    """Say of a server that answers no more how it ended, and what it said last."""
    try:
        yield
    except Deviation as deviation:
        state = _settled(server)
        how = deviation.sentence if state.running else f"The server {_ended(state)}."
        raise CouldNotMeasure(
            f"{prepared.subject.title}: {how}",
            _advice(state),
            excerpt=(*deviation.excerpt, *_last_lines(log)),
            log=log,
        ) from deviation


def _settled(server: RunningServer) -> ServerState:
    """The state of a server whose connections broke: it may need a moment to be gone, and the engine one to say why."""
    until = monotonic() + _DYING
    while (state := server.state()).running or (state.status == _KILLED and not state.out_of_memory):
        if monotonic() > until:
            break
        sleep(_PAUSE)
    return state


def _ended(state: ServerState) -> str:
    if state.out_of_memory:
        return f"was killed because it needed more memory than its container may have (status {state.status})"
    return f"ended in the middle, with status {state.status}"


def _advice(state: ServerState) -> str:
    if state.running:
        return "See its log."
    if state.out_of_memory:
        return "Raise the profile's memory-limit, or lower its context, batch or slots."
    return "See its log; `builder smoke` looks closer."


def _last_lines(log: Path) -> tuple[str, ...]:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(line[:200] for line in lines if line.strip())[-_LAST_LINES:]


def _processes(server: RunningServer, tools: Tools) -> frozenset[int]:
    done = tools.engine.ask("top", server.name, "-eo", "pid")
    return frozenset(int(line) for line in done.stdout.split() if line.isdecimal())


def _mib(size: int | None) -> float | None:
    return None if size is None else size / _MIB


def _known(figures: Mapping[str, float | None]) -> dict[str, tuple[float, ...]]:
    return {name: (value,) for name, value in figures.items() if value is not None}
