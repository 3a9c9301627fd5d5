"""What a bench is for, what its record says, and the status that stands for it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder.channels.ledger.ledger import open_ledger
from builder.config import load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import ExitCode
from builder.gates.performance import checks_of, with_unseen
from builder.gates.verdict import Check, outcome_of, verdict_of
from builder.gates.verdict import Outcome as Answer
from builder.paths import Paths
from builder.performance.aims import Baseline, Decision, Pair, Sweep
from builder.performance.archive import Archive
from builder.performance.bench import Growing, Result, Wish, aim_of, exit_code, filled, keep_rounds, level
from builder.performance.comparison import Outcome
from builder.performance.config import rules_of
from builder.performance.effort import QUICK, Work
from builder.performance.errors import CouldNotMeasure
from builder.performance.frame import arguments_of, host_of, is_channel, settings_of, split_reference, subject_record
from builder.performance.lengths import Room
from builder.performance.llama_bench import BenchProgram
from builder.performance.loop import Taken
from builder.performance.measure import Measured
from builder.performance.prepare import Prepared
from builder.performance.record import read_record
from builder.performance.rules import Rules
from builder.performance.samples import Family
from builder.performance.sentences import collapsed, gathered
from builder.performance.settings import parse_changes
from builder.performance.subject import subjects_of
from builder.performance.tools import Tools
from builder.process import Runner
from builder.profiles import profile
from builder.recording import Recorder
from builder.report.headline import Tone, headline_of
from builder.server.help import Help
from builder.server.profile import ServedModel
from builder.server.running import Serving
from builder.speed import Performance
from tests.unit.performance_runs import measured
from tests.unit.report_records import record

_CHAT = profile("chat")
_LABELS = {
    "local.builder.plan": "sha256:7",
    "local.builder.variant": "cpu",
    "org.opencontainers.image.version": "b10991",
}


def _image(name: str = "a", labels: Mapping[str, str] = _LABELS) -> Image:
    references = (f"local-ai-llama:{name}", "local-ai-llama:b10991-cpu-0011223344")
    return Image(f"sha256:{name * 4}", references, (), 1, labels, (), "", "amd64")


def _prepared(tmp_path: Path, *images: str, changes: tuple[str, ...] = (), bench: str = "ab") -> tuple[Prepared, ...]:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    named = [(f"local-ai-llama:{name}", _image(name)) for name in images]
    subjects = subjects_of(named, "chat", _CHAT, parse_changes(changes, {"chat": _CHAT}))
    program = BenchProgram("llama-bench", Help({}))
    return tuple(
        Prepared(
            subject,
            ServedModel(model, None),
            "sha256:1",
            Serving(subject.image.id, (), model),
            program if subject.reference[-1] in bench else None,
            (f"a note of {subject.name}",),
        )
        for subject in subjects
    )


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    runner = Runner()
    return Tools(Engine(runner), runner, Reporter(), Paths(tmp_path), load(None, {}, {}), tmp_path)


def test_two_images_are_held_against_each_other(tmp_path: Path, tools: Tools) -> None:
    wish = Wish(QUICK)
    assert aim_of(_prepared(tmp_path, "a", "b"), wish, tools) == Pair("A", "B", wish.rules)
    same = _prepared(tmp_path, "a", "a", changes=("chat.ubatch=64",))
    assert aim_of(same, wish, tools) == Pair("A", "B", wish.rules)


def test_one_image_is_a_base_line(tmp_path: Path, tools: Tools) -> None:
    wish = Wish(QUICK, baseline=5)
    assert aim_of(_prepared(tmp_path, "a"), wish, tools) == Baseline("A", wish.rules, 5)


def test_values_are_compared_with_what_is_configured(tmp_path: Path, tools: Tools) -> None:
    aim = aim_of(_prepared(tmp_path, "a", changes=("chat.ubatch=64,128",)), Wish(QUICK, target="throughput"), tools)
    assert isinstance(aim, Sweep)
    assert (aim.titles, aim.current, aim.target) == ({"A": "ubatch=64", "B": "ubatch=128"}, "B", "throughput")
    other = aim_of(_prepared(tmp_path, "a", changes=("chat.ubatch=32,64",)), Wish(QUICK), tools)
    assert isinstance(other, Sweep)
    assert other.current == "A", "none is configured, so it is the first"


def test_values_of_two_images_are_named_with_their_images(tmp_path: Path, tools: Tools) -> None:
    aim = aim_of(_prepared(tmp_path, "a", "b", changes=("chat.ubatch=64,128",)), Wish(QUICK), tools)
    assert isinstance(aim, Sweep)
    assert list(aim.titles.values())[:2] == ["local-ai-llama:a ubatch=64", "local-ai-llama:a ubatch=128"]
    assert aim.current == "2"


def test_where_one_has_no_llama_bench_the_others_is_left_out(tmp_path: Path) -> None:
    both = level(_prepared(tmp_path, "a", "b", bench="a"))
    assert [one.bench for one in both] == [None, None]
    assert both[0].notes[-1] == "llama-bench is not compared: local-ai-llama:b has none."
    whole = _prepared(tmp_path, "a", "b")
    assert level(whole) == whole
    none = _prepared(tmp_path, "a", "b", bench="")
    assert level(none) == none


@pytest.mark.parametrize(
    ("outcome", "settled", "code"),
    [
        (Outcome.NOT_WORSE, True, ExitCode.DONE),
        (Outcome.WORSE, True, ExitCode.PERFORMANCE),
        (Outcome.UNDECIDED, False, ExitCode.UNJUDGED),
        (Outcome.TOLD, False, ExitCode.UNJUDGED),
        (None, True, ExitCode.DONE),
        (None, False, ExitCode.UNJUDGED),
    ],
)
def test_the_status_says_what_came_of_it(outcome: Outcome | None, settled: bool, code: ExitCode) -> None:
    assert exit_code(outcome, settled=settled) == code


def test_a_record_says_what_was_measured(tmp_path: Path) -> None:
    (prepared,) = _prepared(tmp_path, "candidate", changes=("chat.environment.X=1",))
    told = subject_record(prepared)
    assert (told.repository, told.channel, told.build, told.plan) == (
        "local-ai-llama",
        "candidate",
        "b10991",
        "sha256:7",
    )
    assert told.overrides == {"environment.X": "1"}
    assert told.settings["environment"] == "X=1"
    assert (told.model.name, told.model.size) == ("m.gguf", 4)


def test_a_foreign_image_has_no_build(tmp_path: Path) -> None:
    (prepared,) = _prepared(tmp_path, "b")
    foreign = replace(
        prepared, subject=replace(prepared.subject, image=_image("b", {"org.opencontainers.image.version": "9"}))
    )
    assert subject_record(foreign).build == ""


def test_one_asked_for_by_its_id_is_known_by_its_name_and_has_no_channel(tmp_path: Path) -> None:
    (prepared,) = _prepared(tmp_path, "b")
    told = subject_record(replace(prepared, subject=replace(prepared.subject, reference="sha256:bbbb")))
    assert (told.repository, told.channel) == ("local-ai-llama", "")


@pytest.mark.parametrize(
    ("reference", "split"),
    [
        ("llama:latest", ("llama", "latest")),
        ("host:5000/llama:b1", ("host:5000/llama", "b1")),
        ("host:5000/llama", ("", "")),
        ("llama:b1@sha256:00", ("llama", "b1")),
        ("sha256:0011", ("", "")),
        ("0011aabb", ("", "")),
    ],
)
def test_a_reference_has_a_name_and_a_tag(reference: str, split: tuple[str, str]) -> None:
    assert split_reference(reference) == split


@pytest.mark.parametrize(
    ("tag", "moves"),
    [
        ("candidate", True),
        ("latest", True),
        ("canary-2", True),
        ("b10991-cpu-00", False),
        ("v0.5.0", False),
        ("", False),
    ],
)
def test_a_tag_that_moves_is_a_channel(tag: str, moves: bool) -> None:
    assert is_channel(tag) is moves


def test_settings_are_text_by_the_keys_of_the_file() -> None:
    told = settings_of(profile("chat", **{"extra-arguments": ("--threads", "1"), "environment": {"A": "1", "B": "2"}}))
    assert (told["flash-attention"], told["extra-arguments"]) == ("true", "--threads 1")
    assert (told["environment"], told["ubatch"]) == ("A=1 B=2", "128")


def test_arguments_say_what_was_asked_and_how_often() -> None:
    told = arguments_of(QUICK, Work({"short": 3, "2k": 1}, Room(4096, 512), answer=32, repetitions=5))
    assert told["prompts"] == "short 100, 2k 1850, near 3904"
    assert (told["answer"], told["llama-bench"]) == ("32", "pp512 tg64")
    assert (told["times"], told["effort"]) == ("2k 1, short 3", "quick")


def test_a_machine_is_told_from_others_and_nothing_else_of_it() -> None:
    assert host_of("one") == host_of("one") != host_of("two")
    assert "one" not in host_of("one")
    assert host_of("") == ""


def test_the_file_says_what_is_allowed() -> None:
    rules = rules_of(Performance(latency_limit="7.5%", llama_bench_limit="0.5%", confidence="95%", rounds=2))
    assert rules.allowed[Family.LATENCY] == pytest.approx(0.075)
    assert rules.allowed[Family.LLAMA_BENCH] == pytest.approx(0.005)
    assert rules.confidence == pytest.approx(0.95)
    assert (rules.least_rounds, rules.most_rounds, rules.time_limit) == (2, 2, 600.0)
    assert rules_of(Performance()).allowed == Rules().allowed


def test_sentences_that_differ_in_numbers_alone_are_said_once() -> None:
    said = ["Others took 0.9 cores.", "Round 1 is short.", "Others took 1.2 cores.", "Others took 11 cores."]
    assert collapsed(said) == ("Others took 0.9 cores. (And 2 times more.)", "Round 1 is short.")


def test_what_is_said_of_several_things_alike_is_one_sentence() -> None:
    said = (
        "Clocks differ: short, 9.1 ms here.",
        "Clocks differ: near, 3 ms here.",
        "Alone.",
        "Clocks differ: short, 8 ms here.",
    )
    assert gathered(said) == ("Alone.", "Clocks differ: short, 9.1 ms here, 2 times; near, 3 ms here.")


_NAMES = {"ttft/2k": 0.0, "generation/alone": 0.0, "llama-bench/tg64": 0.0}


def _decision(slower: Mapping[str, float] = _NAMES, rounds: int = 8, scatter: float = 0.01) -> Decision:
    return Pair("A", "B", Rules()).decide(measured(rounds, slower, scatter=scatter), 0.0)


def _result(taken: Taken) -> Result:
    return Result(filled(record(judgements=(), outcome=Outcome.UNDECIDED, notes=()), taken), Path("r.json"), taken)


def _checks(taken: Taken, *, compared: bool = True) -> list[Check]:
    return list(checks_of(_result(taken), "local-ai-llama:latest", compared=compared, same=False))


def test_while_rounds_go_on_a_record_is_not_whole() -> None:
    taken = Taken(tuple(measured(2, _NAMES)), notes=("Round 1 was noisy.", "Round 2 was noisy."))
    going = filled(record(notes=("first",)), taken)
    assert not going.whole
    assert going.notes == ("first", "Round 1 was noisy. (And 1 time more.)")
    assert [one.name for one in going.metrics] == list(_NAMES)
    ended = filled(record(), replace(taken, interrupted="Interrupted in round 3."))
    assert ended.ended
    assert ended.interrupted == "Interrupted in round 3."


def test_not_worse_in_all_that_decides_passes() -> None:
    checks = _checks(Taken(decision=_decision()))
    assert [check.name for check in checks] == list(_NAMES)
    assert outcome_of(checks) is Answer.PASS
    assert _result(Taken(decision=_decision())).exit_code == ExitCode.DONE


def test_a_confirmed_regression_fails_and_names_the_figure() -> None:
    checks = _checks(Taken(decision=_decision({**_NAMES, "ttft/2k": 0.2})))
    assert outcome_of(checks) is Answer.FAIL
    assert [check.name for check in checks if check.outcome is Answer.FAIL] == ["ttft/2k"]
    assert "more than 5 % worse" in checks[0].detail


def test_what_is_open_cannot_be_judged() -> None:
    assert outcome_of(_checks(Taken(decision=_decision(scatter=0.5)))) is Answer.UNJUDGED


def test_one_that_ended_early_cannot_be_judged_whatever_it_saw() -> None:
    error = CouldNotMeasure("The server ended.", "See its log.", excerpt=("abort",))
    taken = Taken(decision=_decision(), error=error, interrupted="In round 9: The server ended.")
    checks = _checks(taken)
    assert outcome_of(checks) is Answer.UNJUDGED
    assert checks[0].detail == "In round 9: The server ended. See its log."
    assert checks[0].excerpt == ("abort",)
    assert _result(taken).exit_code == ExitCode.UNJUDGED


def test_figures_that_decide_nothing_are_no_pass() -> None:
    checks = _checks(Taken(decision=_decision({"memory/container": 0.0})))
    assert outcome_of(checks) is Answer.UNJUDGED


def test_what_could_not_be_looked_for_is_in_the_record_and_in_the_verdict() -> None:
    said = "Nothing tells whether the GPU was slowed down by heat or for want of power."
    taken = Taken(decision=_decision(), unseen=(said,))
    assert said in _result(taken).record.notes
    verdict = verdict_of("performance", "it", "sha256:1", _checks(taken), measurements={}, seconds=1.0)
    assert with_unseen(verdict, taken.unseen).reasons == (*verdict.reasons, said)
    assert with_unseen(verdict, ()) == verdict


def _rounds(number: int, _: Container[str]) -> Iterator[Measured]:
    if number > 2:
        raise KeyboardInterrupt
    for run in measured(2, _NAMES):
        if run.round == number:
            yield Measured(run, {}, (), None, Path("log"), 1.0)


def test_an_interrupted_bench_is_in_the_ledger(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "cache", tmp_path / "state")
    archive = Archive(paths.benches)
    blank = record([], subjects=record().subjects, notes=())
    growing = Growing(blank, archive, archive.place(blank))
    recorder = Recorder(paths, Reporter())
    with pytest.raises(KeyboardInterrupt):
        keep_rounds(_rounds, Pair("A", "B", Rules()), growing, lambda _: None, recorder.bench)
    assert not recorder.failed
    assert read_record(growing.file).interrupted == "Interrupted in round 3."
    with open_ledger(paths.ledger) as ledger:
        found = ledger.verdicts.benchmarks(blank.subjects[0].image)
    assert [Path(one.file) for one in found] == [growing.file]


def test_a_bench_that_measured_nothing_leaves_nothing(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    growing = Growing(record([], subjects=record().subjects), archive, tmp_path / "r.json")

    def none(_: int, __: Container[str]) -> Iterable[Measured]:
        raise KeyboardInterrupt

    told: list[Path] = []
    with pytest.raises(KeyboardInterrupt):
        keep_rounds(none, Pair("A", "B", Rules()), growing, lambda _: None, lambda _, file: told.append(file))
    assert told == []
    assert not growing.file.exists()


def test_a_base_line_that_a_limit_ends_is_said_to_be_none() -> None:
    runs = measured(2, _NAMES, subjects=("A",))
    decision = Baseline("A", Rules(time_limit=3), 4).decide(runs, 2.0)
    alone = record(runs, notes=())
    made = filled(alone, Taken(tuple(runs), decision=decision), ended=alone.ended)
    assert made.unsettled.startswith("A base line takes 4 rounds, and 2 count.")
    headline = headline_of(made, ())
    assert headline.tone is Tone.OPEN
    assert "not often enough" in headline.text
    assert filled(alone, Taken(tuple(runs))).unsettled == ""


def test_a_base_line_passes_and_says_that_nothing_was_compared() -> None:
    aim = Baseline("A", Rules(), 3)
    checks = _checks(Taken(decision=aim.decide(measured(3, _NAMES, subjects=("A",)), 0.0)), compared=False)
    assert [(check.name, check.outcome) for check in checks] == [("baseline", Answer.PASS)]
    assert checks[0].detail.startswith("There is no local-ai-llama:latest yet: there was nothing to be slower than.")


def test_a_base_line_of_which_no_round_counts_is_no_pass() -> None:
    runs = [replace(run, set_aside="Others took 1 core.") for run in measured(4, _NAMES, subjects=("A",))]
    checks = _checks(Taken(decision=Baseline("A", Rules(), 3).decide(runs, 0.0)), compared=False)
    assert outcome_of(checks) is Answer.UNJUDGED
