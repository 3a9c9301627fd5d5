"""Does each operation that serving uses come out as the CPU computes it?

Asked of upstream's `test-backend-ops`, which exits with 0 where there is no GPU, where it knows no such operation and
where the GPU supports none of its cases: what counts are cases that passed on the backend that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic
from uuid import uuid4

from builder.engine.statuses import NOT_STARTED
from builder.gates.correctness.needed import (
    ModelFacts,
    Operations,
    operations_of,
    operations_on_cpu,
    read_model,
)
from builder.gates.correctness.program import (
    OPERATIONS,
    Abilities,
    Bench,
    environment_of,
    parse_listing,
    parse_usage,
)
from builder.gates.correctness.tally import NAME, Attempt, Tally
from builder.gates.correctness.tests_image import Programs
from builder.gates.finding import Finding, bad, unknown
from builder.gates.gate import Scene
from builder.gates.serving.ending import in_words
from builder.gates.serving.trial import Trial, variables
from builder.server.running import ServerState

_GPU = "CUDA0"
_CPU = "CPU"
_CASE_WORKERS = 8
"""The most workers; each has a CPU of four threads to compare with."""
_THREADS = 4
_LEAST = 5.0
"""Seconds that have to be left to begin with further operations."""


def judge_operations(programs: Programs, trials: Sequence[Trial], scene: Scene) -> Iterator[Finding]:
    """Compare what serving uses, on the GPU with the CPU, or on the CPU with its plain way of computing.

    Args:
        trials: one for each profile, of the image that the programs belong to; all set the same variables.

    Yields:
        One finding; none where this image can compare the CPU with itself only.

    Raises:
        MachineError: no engine answers, or the disk is full.
    """
    if OPERATIONS not in programs.names:
        yield unknown(NAME, f"The image with the tests has no {OPERATIONS}.")
        return
    on_gpu = any(trial.on_gpu for trial in trials)
    if on_gpu and not any(trial.gpu_options for trial in trials):
        yield unknown(NAME, "The image computes on a GPU, and none was given to compare with the CPU.")
        return
    bench = bench_of(programs, trials, scene)
    wanted = _wanted(trials, bench, on_gpu=on_gpu)
    if isinstance(wanted, Finding):
        yield wanted
    elif wanted is not None:
        yield compare_operations(wanted, _GPU if on_gpu else _CPU, bench)


def compare_operations(wanted: Operations, backend: str, bench: Bench) -> Finding:
    """Compare operations on a backend with the CPU.

    Args:
        backend: such as `CUDA0`.

    Raises:
        MachineError: no engine answers, or the disk is full.
    """
    asked = bench.ask(OPERATIONS, "--help")
    abilities = parse_usage(asked.output)
    if abilities is None:
        said = asked.last_words or tuple(asked.output.splitlines()[-4:])
        if asked.status is None or asked.status == NOT_STARTED:
            return unknown(NAME, f"{OPERATIONS} could not be asked what it takes.", said)
        how = in_words(ServerState(False, asked.status, False))
        return bad(NAME, f"{OPERATIONS}, asked what it takes, {how}.", said)
    known = parse_listing(bench.ask(OPERATIONS, "--list-ops").output) if abilities.listing else None
    limit = bench.scene.config.settings.gates.operations_limit
    batches = batches_of(wanted, abilities, known)
    with bench.scene.cores:
        attempts = tuple(_attempts(batches, backend, (abilities, wanted.pattern), bench, limit))
    return Tally(backend, wanted, known, attempts, limit).finding()


def bench_of(programs: Programs, trials: Sequence[Trial], scene: Scene) -> Bench:
    """Where the programs are run for profiles that set the same variables: with these, and with their GPU."""
    gpu = next((trial.gpu_options for trial in trials if trial.gpu_options), ())
    return Bench(programs, (*gpu, *variables(environment_of(trials[0]).items())), scene)


def _wanted(trials: Sequence[Trial], bench: Bench, *, on_gpu: bool) -> Operations | Finding | None:
    models: list[ModelFacts] = []
    for trial in trials:
        model = read_model(trial)
        if model is None:
            return unknown(NAME, f"Of {trial.model.path.name} nothing can be read that tells what it needs.")
        models.append(model)
    if on_gpu:
        return operations_of(trials, models)
    wanted = operations_on_cpu(trials, models)
    found = bench.has_reference() if wanted else False
    if found is None:
        return unknown(
            NAME, f"Whether {OPERATIONS} can compare the CPU with anything but itself could not be found out."
        )
    return wanted if found else None


def batches_of(wanted: Operations, abilities: Abilities, known: frozenset[str] | None) -> tuple[tuple[str, ...], ...]:
    """What the program is asked for in one run each; one operation at a time where it takes no more.

    Names of the tests' own are not asked for one by one: each would cost a start, and the programs that take one
    operation at a time have none.
    """
    skipped = frozenset() if abilities.many else frozenset(wanted.fused)
    groups = [
        tuple(
            name for name in group if name not in skipped and (known is None or name in known or name in wanted.fused)
        )
        for group in wanted.groups()
    ]
    if abilities.many:
        return tuple(group for group in groups if group)
    return tuple((name,) for group in groups for name in group)


def _attempts(
    batches: Sequence[tuple[str, ...]], backend: str, how: tuple[Abilities, str], bench: Bench, limit: float
) -> Iterator[Attempt]:
    until = monotonic() + limit
    for batch in batches:
        left = until - monotonic()
        if left < _LEAST:
            yield Attempt(batch, None)
            continue
        log = bench.scene.logs / f"{NAME}-{batch[0].lower()}-{uuid4().hex[:8]}.log"
        words = ("test", "-o", ",".join(batch), "-b", backend, *_further(*how, bench))
        yield Attempt(batch, bench.run(OPERATIONS, words, log, left))


def _further(abilities: Abilities, pattern: str, bench: Bench) -> tuple[str, ...]:
    workers = min(_CASE_WORKERS, max(1, bench.scene.engine.info().cores // _THREADS))
    return (
        *(("-p", pattern) if abilities.parameters else ()),
        *(("-j", str(workers)) if abilities.workers and workers > 1 else ()),
    )
