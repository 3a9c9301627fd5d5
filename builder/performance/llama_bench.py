"""An image's own llama-bench, told the profile's sizes in its own words: prompt and answer without a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from builder.engine.throwaway import SANDBOX
from builder.performance.bench_output import FORMS, BenchRecord, Unreadable, parse_bench
from builder.performance.effort import Work
from builder.performance.errors import CouldNotMeasure
from builder.process import CommandTimeout, Completed
from builder.server.help import Help, parse_help
from builder.server.running import Serving, model_in_container, mounts
from builder.server.startup import Ending, is_program_missing

if TYPE_CHECKING:
    from pathlib import Path

    from builder.performance.tools import Tools
    from builder.profiles import Profile

_PLACES = ("llama-bench", "/app/llama-bench", "/opt/llama.cpp/llama-bench", "/llama-bench")
_ASK = 60.0
_FENCE = (
    *("--network", "none"),
    "--read-only",
    *("--tmpfs", "/tmp:rw,nosuid,nodev,size=256m"),  # noqa: S108
    *("--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
    *("--pids-limit", "2048"),
    *("--ulimit", "core=0"),
    *("--log-driver", "none"),
    "--no-healthcheck",
)
_THREADS = {"-t", "--threads"}
_CUDA = "CUDA"


@dataclass(frozen=True)
class BenchProgram:
    """A llama-bench.

    Attributes:
        path: in the image.
        known: the words it takes, by its own help.
    """

    path: str
    known: Help

    @property
    def form(self) -> str:
        """What it is asked to print: the most telling form that it knows."""
        option = self.known.find("--output")
        choices = self.known.options[option].choices if option else ()
        return next((form for form in FORMS if form in choices), "json")


def find_bench(image: str, options: tuple[str, ...], tools: Tools) -> BenchProgram | None:
    """The image's llama-bench; None where it has none.

    Args:
        options: further options of `docker run`.

    Raises:
        CouldNotMeasure: it is there and does not start.
        MachineError: no engine answers.
    """
    for path in _PLACES:
        fenced = (*SANDBOX, *options, "--entrypoint", path)
        done = tools.engine.run_once(image, ["--help"], options=fenced, timeout=_ASK, run_id=tools.run_id)
        if is_program_missing(Ending(done.returncode, done.stdout + done.stderr)):
            continue
        known = parse_help(done.stdout + done.stderr)
        if not known.knows("--n-prompt"):
            raise _failed("llama-bench is in the image and prints no help", done)
        return BenchProgram(path, known)
    return None


def bench_words(program: BenchProgram, profile: Profile, model: str, work: Work) -> tuple[str, ...]:
    """What llama-bench is told.

    Args:
        model: path of the model where it sees it.

    Raises:
        CouldNotMeasure: it has no word for something that decides what is measured.
    """
    return tuple(word for pair in _pairs(program, profile, model, work) for word in pair)


def run_bench(
    program: BenchProgram,
    profile: Profile,
    serving: Serving,
    work: Work,
    tools: Tools,
    *,
    on_gpu: bool,
    identity: Path,
) -> Mapping[str, tuple[float, ...]]:
    """Tokens per second by metric, in a container that is gone afterwards.

    Args:
        serving: how the server is run; llama-bench gets the same model, memory, GPU and variables.
        on_gpu: it has to be a GPU that computes.
        identity: a file that is not there yet; the engine writes the container's ID to it before it starts.

    Raises:
        CouldNotMeasure: it failed, took too long, computed elsewhere, or measured nothing.
        MachineError: no engine answers.
    """
    words = bench_words(program, profile, model_in_container(serving.model), work)
    limit = ("--memory", serving.memory, "--memory-swap", serving.memory) if serving.memory else ()
    options = (
        *(*_FENCE, *limit, *mounts(serving.model), *serving.options),
        *("--cidfile", str(identity), "--entrypoint", program.path),
    )
    try:
        done = tools.engine.run_once(
            serving.image, words, options=options, timeout=work.bench_limit, run_id=tools.run_id
        )
    except CommandTimeout as error:
        raise CouldNotMeasure(
            f"llama-bench did not end within {work.bench_limit:g} s.", "Measure with a smaller model, or on a GPU."
        ) from error
    if done.returncode:
        raise _failed(f"llama-bench ended with status {done.returncode}", done)
    try:
        records = parse_bench(done.stdout, program.form)
    except Unreadable as error:
        raise _failed(f"What llama-bench printed cannot be used, for {error}", done) from error
    if on_gpu:
        require_gpu(records)
    return {f"llama-bench/{record.name}": record.speeds for record in records}


def require_gpu(records: tuple[BenchRecord, ...]) -> None:
    """Refuse what the processor computed for want of a GPU.

    Raises:
        CouldNotMeasure: a test names no CUDA, or no GPU.
    """
    for record in records:
        if _CUDA not in record.backends.upper() or ("gpu_info" in record.facts and not record.gpu):
            where = record.backends or "nothing that it names"
            raise CouldNotMeasure(
                f"llama-bench computed {record.name} on {where}, not on the GPU that it was given.",
                "See `builder smoke`, which looks why.",
            )


def _pairs(program: BenchProgram, profile: Profile, model: str, work: Work) -> Iterator[tuple[str, str]]:
    known = program.known
    prompt = min(work.bench_prompt, profile.ubatch) if profile.embeddings else work.bench_prompt
    yield _required(known, "--model"), model
    yield _required(known, "--n-prompt"), str(prompt)
    yield _required(known, "--n-gen"), "0" if profile.embeddings else str(work.bench_answer)
    yield _required(known, "--batch-size"), str(profile.batch)
    yield from _optional(known, "--ubatch-size", str(profile.ubatch))
    yield from _optional(known, "--cache-type-k", profile.cache_type_k)
    yield from _optional(known, "--cache-type-v", profile.cache_type_v)
    yield from _optional(known, "--n-gpu-layers", str(profile.gpu_layers))
    yield from _flash_attention(known, profile.flash_attention)
    if profile.embeddings:
        yield from _optional(known, "--embeddings", "1")
    yield from _threads(known, profile.extra_arguments)
    yield _required(known, "--repetitions"), str(work.repetitions)
    yield _required(known, "--output"), program.form


def _flash_attention(known: Help, wanted: bool) -> Iterator[tuple[str, str]]:
    """`0` or `1` up to the end of 2025, then `on`, `off` or `auto`."""
    if name := known.find("--flash-attn"):
        by_words = "on" in known.options[name].choices
        yield name, ("on" if wanted else "off") if by_words else str(int(wanted))


def _threads(known: Help, arguments: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """As many threads as the server is told to take; both take the same number by themselves."""
    for word, value in pairwise(arguments):
        if word in _THREADS:
            yield _required(known, "--threads"), value


def _optional(known: Help, name: str, value: str) -> Iterator[tuple[str, str]]:
    if found := known.find(name):
        yield found, value


def _required(known: Help, name: str) -> str:
    if found := known.find(name):
        return found
    raise CouldNotMeasure(f"This llama-bench has no word {name}.", "Measure an image of another age.")


def _failed(cause: str, done: Completed) -> CouldNotMeasure:
    said = tuple(line[:200] for line in (done.stderr or done.stdout).splitlines() if line.strip())[-4:]
    return CouldNotMeasure(f"{cause}.", "Run it by hand; the command is in the log.", excerpt=said)
