"""How often a bench of real images is right: an image against itself, and against itself with less of the processor.

    .venv/bin/python benchmarks/trials.py IMAGE [--trials 20] [--share 5] [--server] [--file trials.jsonl]

Each trial is a whole comparison by the product's own rounds, planner and rules; in half of them, by turns, the
containers of B get a quota, so that B is slower by about the share that it loses. Both compute with one thread, so that
the quota is all that differs. Without `--server` a run is llama-bench alone, which takes a second.

Something is *found* where the comparison ends with B said to be slower in at least one deciding figure: the interval
that holds for all looks after every round and all deciding figures together (98 %, Holm) lies on the slow side of 1. A
*false alarm* is the same said of A against A. What the gate would do with it is counted beside that: it fails only
where B is slower by more than is allowed, and a second batch of rounds agrees.

What is finished is in the file, and a further call goes on from there. A trial with fewer than three rounds that count,
because others took the processor, is kept in the file, counted apart, and made anew. Ends with status 0 where there are
as many trials of both kinds as were asked for, at most 1 of 20 is a false alarm and at least 18 of 20 are found; else
with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.trialbook import (
    SAME,
    SLOWER,
    Terms,
    Trial,
    append,
    false_alarms,
    found,
    is_kept,
    lacking,
    read,
    table,
    trial,
)
from builder.config import load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.throwaway import this_run
from builder.errors import BuilderError
from builder.paths import Paths
from builder.performance.aims import Pair
from builder.performance.bench_run import take_bench
from builder.performance.conditions import Watch
from builder.performance.effort import Effort, Work
from builder.performance.errors import CouldNotMeasure
from builder.performance.interleaving import order
from builder.performance.loop import take_rounds
from builder.performance.measure import Measured
from builder.performance.prepare import Prepared, prepare
from builder.performance.rounds import Rounds
from builder.performance.rules import Rules
from builder.performance.samples import Run
from builder.performance.settings import parse_changes
from builder.performance.subject import subjects_of
from builder.performance.tools import Tools
from builder.process import Runner
from builder.profiles import profile

_PERIOD = 25_000
"""Microseconds in which the quota is given. With shorter ones a process loses about twice what it is meant to lose, for
the kernel hands the quota out by pieces; a repetition of llama-bench lasts several of them."""
_CHAT = profile("chat", context=512, slots=2, users=2, **{"extra-arguments": ("--threads", "1")})
_EFFORT = Effort("brief", 0.8, 16)
_PROMPT, _ANSWER, _TIMES = 512, 128, 3
"""Of llama-bench: short runs, so that those that are compared lie close together in time."""
_WHOLE = 100.0
Measure = Callable[[int, Container[str]], Iterable[Measured]]


def limited(prepared: Prepared, share: float) -> Prepared:
    """The same with a quota of its one thread's time that is smaller by a share."""
    quota = round(_PERIOD * (1 - share))
    options = (*prepared.serving.options, "--cpu-period", str(_PERIOD), "--cpu-quota", str(quota))
    return replace(prepared, serving=replace(prepared.serving, options=options))


def bench_alone(pair: Sequence[Prepared], work: Work, tools: Tools) -> Measure:
    """Rounds of llama-bench without a server; a run takes about a second, a third of it to start."""
    subjects = {one.subject.name: one for one in pair}
    work = replace(work, bench_prompt=_PROMPT, bench_answer=_ANSWER, repetitions=_TIMES)

    def measure(number: int, _: Container[str]) -> Iterator[Measured]:
        for place, name in enumerate(order(list(subjects), number)):
            began = monotonic()
            done = take_bench(subjects[name], work, tools, Watch(None))
            figures = {figure: value for seen in done.conditions for figure, value in seen.figures.items()}
            aside = " ".join(seen.set_aside for seen in done.conditions if seen.set_aside)
            unseen = tuple(seen.unseen for seen in done.conditions if seen.unseen)
            run = Run(name, number, number * 4 + place, done.samples, figures, aside)
            yield Measured(run, {}, (), None, tools.logs, monotonic() - began, unseen=unseen)

    return measure


def with_server(pair: Sequence[Prepared], work: Work, tools: Tools) -> Measure:
    """Rounds as a bench takes them."""
    rounds = Rounds(pair, _EFFORT, tools)
    return lambda number, gone: rounds.measure(number, work, gone)


def try_once(kind: str, measure: Measure, rules: Rules) -> Trial:
    """One comparison from its first round to its answer.

    Raises:
        BuilderError: it could not be measured to its end.
    """
    began = monotonic()
    taken = take_rounds(measure, Pair("A", "B", rules), lambda _: None)
    if taken.error:
        raise taken.error
    assert taken.decision
    for sentence in taken.unseen:
        print(sentence, file=sys.stderr)  # noqa: T201
    return trial(kind, taken.runs, taken.decision, monotonic() - began)


def tried(options: argparse.Namespace, terms: Terms, trials: list[Trial], makers: Mapping[str, Measure]) -> None:
    """Try by turns until there are enough trials or the time is over; each is in the file as soon as it is there."""
    rules = Rules(most_rounds=terms.rounds, time_limit=terms.limit)
    until = monotonic() + options.minutes * 60
    while monotonic() < until:
        counts = {kind: sum(one.counts for one in trials if one.kind == kind) for kind in makers}
        kind = min(counts, key=lambda one: counts[one])
        if counts[kind] >= options.trials:
            return
        last = try_once(kind, makers[kind], rules)
        append(options.file, terms, last)
        trials.append(last)
        said = f"slower in {', '.join(last.slower)}" if last.slower else "not said slower"
        what = f"{said}; {last.outcome}" if last.counts else "set aside, for others took the processor"
        print(f"{kind}: {what}; {last.counted} of {last.rounds} rounds, {last.seconds:.0f} s", file=sys.stderr)  # noqa: T201
    print(f"After {options.minutes:g} minutes no further trial is begun; the same call goes on.", file=sys.stderr)  # noqa: T201


def main() -> None:
    """Try, and print what came of it, also of what earlier calls have tried."""
    options = _options()
    tools = _tools()
    image = tools.engine.image(options.image)
    if image is None:
        raise SystemExit(f"There is no image {options.image}.")
    asked = "the server and llama-bench" if options.server else f"pp{_PROMPT} tg{_ANSWER}, {_TIMES} times"
    terms = Terms(image.id, options.share, asked, options.rounds, options.limit)
    trials = read(options.file, terms)
    failed = False
    try:
        pair, work = _ready(options.image, image, tools)
        slowed = (pair[0], limited(pair[1], options.share / 100))
        make = with_server if options.server else bench_alone
        tried(options, terms, trials, {SAME: make(pair, work, tools), SLOWER: make(slowed, work, tools)})
    except KeyboardInterrupt:
        print("Interrupted; the same call goes on.", file=sys.stderr)  # noqa: T201
    except BuilderError as error:
        failed = True
        print(" ".join((error.cause, error.remedy, *error.excerpt)), file=sys.stderr)  # noqa: T201
    for row in table(trials):
        print("| " + " | ".join(row) + " |")  # noqa: T201
    print(f"False alarms: {false_alarms(trials)}. Found: {found(trials)}.")  # noqa: T201
    if missing := lacking(trials, options.trials):
        print(f"Too few trials to say so: {missing}.", file=sys.stderr)  # noqa: T201
    raise SystemExit(int(failed or bool(missing) or not is_kept(trials)))


def _tools() -> Tools:
    logs = Path(mkdtemp(prefix="trials-")) / this_run()
    logs.mkdir()
    runner = Runner(logs / "commands.sh")
    config = load(None, {}, {})
    profiles = {**config.settings.profiles, "chat": _CHAT}
    config = replace(config, settings=config.settings.model_copy(update={"profiles": profiles}))
    return Tools(Engine(runner), runner, Reporter(), Paths.default(), config, logs)


def _ready(name: str, image: Image, tools: Tools) -> tuple[tuple[Prepared, ...], Work]:
    changes = parse_changes((), tools.config.settings.profiles)
    pair = prepare(subjects_of([(name, image), (name, image)], "chat", _CHAT, changes), tools)
    start = Rounds(pair, _EFFORT, tools).begin()
    if start.first.error:
        raise start.first.error
    if any(one.bench is None for one in pair):
        raise CouldNotMeasure(f"{name} has no llama-bench.", "Name an image that was built here.")
    return pair, start.work


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("image")
    parser.add_argument("--trials", type=int, default=20, help="of each kind")
    parser.add_argument("--share", type=float, default=5.0, help="by how many per cent B is slower")
    parser.add_argument("--rounds", type=int, default=9, help="of a batch, at most")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for the rounds of a trial")
    parser.add_argument("--minutes", type=float, default=40.0, help="after which no trial is begun")
    parser.add_argument("--server", action="store_true", help="measure the server too")
    parser.add_argument("--file", type=Path, default=Path("trials.jsonl"), help="gets each trial when it is finished")
    options = parser.parse_args()
    if options.rounds < Rules.least_rounds:
        parser.error(f"--rounds has to be at least {Rules.least_rounds}, after which is looked first")
    if options.trials < 1 or not 0 < options.share < _WHOLE:
        parser.error("--trials has to be 1 at least, and --share between 0 and 100")
    return options


if __name__ == "__main__":
    main()
