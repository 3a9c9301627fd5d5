from __future__ import annotations

from dataclasses import replace

import pytest

from builder.performance.comparison import Outcome
from builder.performance.samples import Run
from builder.report.figures import by_family, figures_of, set_aside
from builder.report.headline import Tone, headline_of
from builder.report.names import explain_name, titles
from builder.report.numbers import scale_of
from builder.report.sparkline import sparklines
from tests.unit.report_records import record, runs, subject

_SLOWER = {"ttft/2k": 0.12, "ttft/10": 0.1}


@pytest.mark.parametrize(
    ("values", "unit", "told"),
    [
        ([0.0000123], "s", "12.3 us"),
        ([0.0123], "s", "12.3 ms"),
        ([0.999], "s", "999 ms"),
        ([2.4], "s", "2.40 s"),
        ([0.0], "s", "0 s"),
        ([812.0], "MiB", "812 MiB"),
        ([7420.0], "MiB", "7420 MiB"),
        ([18000.0], "MiB", "17.6 GiB"),
        ([118.4], "tokens/s", "118 tokens/s"),
        ([3.0], "", "3"),
        ([0.778], "ratio", "77.8 %"),
        ([float("nan")], "s", "-"),
    ],
)
def test_a_value_is_written_with_digits_that_mean_something(values: list[float], unit: str, told: str) -> None:
    assert scale_of(values, unit).spell(values[0]) == told


def test_values_of_one_figure_share_their_unit() -> None:
    scale = scale_of([0.95, 1.05], "s")
    assert [scale.spell(0.95), scale.spell(1.05)] == ["0.95 s", "1.05 s"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ttft/2k", "time to first token, prompts of 2k tokens"),
        ("ttft/10 p95", "time to first token, 10 users, p95"),
        ("llama-bench/pp512", "llama-bench, pp512"),
        ("memory/gpu", "memory, of the GPU"),
        ("brand-new/thing", "brand-new, thing"),
        ("", ""),
    ],
)
def test_names_are_told_in_words(name: str, told: str) -> None:
    assert explain_name(name) == told


def test_subjects_are_called_by_what_tells_them_apart() -> None:
    assert titles(record()) == {"A": "b10991", "B": "b10995"}
    settings = tuple(subject(name, "b1", overrides={"ubatch": ubatch}) for name, ubatch in (("A", "64"), ("B", "512")))
    assert titles(record(subjects=settings)) == {"A": "ubatch=64", "B": "ubatch=512"}
    plain = (subject("A", "b1"), subject("B", "b1", overrides={"slots": "4"}))
    assert titles(record(subjects=plain)) == {"A": "as configured", "B": "slots=4"}
    same = tuple(subject(name, "b1", image="sha256:1") for name in "AB")
    assert set(titles(record(subjects=same)).values()) == {same[0].reference}


def test_deciding_figures_come_first_and_are_grouped_by_what_they_are() -> None:
    figures = figures_of(record())
    assert [figure.decides for figure in figures] == sorted((figure.decides for figure in figures), reverse=True)
    headings = [heading for heading, _ in by_family(figures)]
    assert headings[:2] == ["Waiting (less is better)", "Speed (tokens/s, more is better)"]


def test_tails_with_too_few_samples_are_not_shown() -> None:
    names = [figure.name for figure in figures_of(record())]
    assert "ttft/10 p95" in names
    assert "ttft/2k p95" not in names


def test_a_run_that_was_set_aside_is_in_no_figure_and_is_named() -> None:
    taken = runs(4)
    usual = figures_of(record(taken))[0].values["A"]
    wild = {name: tuple(value * 50 for value in values) for name, values in taken[0].samples.items()}
    taken[0] = replace(taken[0], samples=wild, set_aside="The GPU was slowed down (temperature).")
    made = record(taken)
    figures = figures_of(made)
    assert figures[0].values["A"] == pytest.approx(usual, rel=0.05)
    assert max(figures[0].samples["A"]) < 10 * usual
    assert set_aside(made, figures) == ("A, round 1: The GPU was slowed down (temperature).",)


def test_rounds_that_single_figures_lack_are_told_once() -> None:
    taken = [
        Run(run.subject, run.round, run.order, {**run.samples, "ttft/2k": ()} if run.round in (2, 3) else run.samples)
        for run in runs(5)
    ]
    made = record(taken)
    told = set_aside(made, figures_of(made))
    assert len(told) == len(set(told))
    assert all(sentence.startswith("Round") and "ttft/2k of " in sentence for sentence in told)


def test_a_regression_is_the_headline_with_what_to_do() -> None:
    made = record(runs(8, _SLOWER))
    headline = headline_of(made, figures_of(made))
    assert made.outcome is Outcome.WORSE
    assert headline.tone is Tone.BAD
    assert headline.text.startswith("B (b10995) is worse than A (b10991): time to first token, ")
    assert "5 % allowed" in headline.text
    assert headline.advice == "Keep A."


def test_an_improvement_is_told_beside_that_nothing_is_worse() -> None:
    made = record(runs(6, {"generation/alone": -0.14}))
    headline = headline_of(made, figures_of(made))
    assert headline.tone is Tone.GOOD
    assert (
        "not worse than A (b10991) in 7 deciding figures. It is better in generation speed, one user +1"
        in headline.text
    )
    assert headline.advice == "B may replace A."


def test_an_open_comparison_says_what_would_help() -> None:
    made = record(runs(4, {"ttft/2k": 0.045}, scatter=0.02))
    headline = headline_of(made, figures_of(made))
    assert headline.tone is Tone.OPEN
    assert headline.text.startswith("Whether B (b10995) is worse than A (b10991) is open: ")
    assert "would tell" in headline.advice


def test_an_interrupted_comparison_is_never_told_as_good() -> None:
    made = record(ended=None, interrupted="interrupted in round 3")
    headline = headline_of(made, figures_of(made))
    assert made.outcome is Outcome.NOT_WORSE
    assert headline.tone is Tone.OPEN
    assert headline.text.endswith("This is not whole: interrupted in round 3.")


def test_one_subject_alone_is_compared_with_nothing() -> None:
    made = record([run for run in runs(3) if run.subject == "A"])
    headline = headline_of(made, figures_of(made))
    assert (headline.tone, headline.text) == (Tone.PLAIN, "b10991 was measured alone.")
    assert not any(figure.changes for figure in figures_of(made))


def test_of_many_subjects_each_is_held_against_the_first() -> None:
    names = ("1", "2", "3")
    sides = tuple(subject(name, "b1", overrides={"ubatch": name}) for name in names)
    made = record(runs(6, {"ttft/2k": 0.2}, subjects=names), subjects=sides)
    (figure,) = (figure for figure in figures_of(made) if figure.name == "ttft/2k")
    assert list(figure.changes) == ["2", "3"]
    assert figure.changes["3"].direction.seen
    assert not figure.changes["3"].better
    assert not any(one.decides for one in figures_of(made)), "what is allowed is said of two alone"
    said = ("Take ubatch=1.", "The others are slower.")
    assert headline_of(made, figures_of(made), said).text == said[0]


def test_where_no_run_counts_that_is_the_answer() -> None:
    made = record([replace(run, set_aside="Others took 1.5 of this machine's cores.") for run in runs(3)])
    headline = headline_of(made, figures_of(made))
    assert headline.tone is Tone.OPEN
    assert headline.text == "None of 12 runs counts. The last: Others took 1.5 of this machine's cores."
    assert len(set_aside(made, figures_of(made))) == 12


def test_a_record_without_any_run_has_no_figures() -> None:
    made = record([], subjects=(subject("A", "b1"), subject("B", "b2")))
    assert figures_of(made) == ()
    assert headline_of(made, ()).tone is Tone.OPEN


def test_sparklines_share_a_scale_and_show_no_noise() -> None:
    slow, fast = sparklines([[1.0, 1.0, None], [2.0, 2.0, 2.0]], 8)
    assert (slow, fast) == ("▁▁x", "███")
    (flat,) = sparklines([[1.0, 1.001, 0.999]], 8)
    assert len(set(flat)) <= 2
    (long,) = sparklines([[float(number) for number in range(100)]], 8)
    assert (len(long), long[0], long[-1]) == (8, "▁", "█")
    assert sparklines([[None, None]], 8) == ("xx",)
