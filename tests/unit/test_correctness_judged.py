"""What is said of answers that differ, of graphs that were not used, and what is asked at all."""

from __future__ import annotations

import pytest

from builder.gates.correctness.asking import Answer, Responses, Vector
from builder.gates.correctness.embeddings import apart, judge_vectors
from builder.gates.correctness.expected import foretold
from builder.gates.correctness.gpu import graphs_unproven
from builder.gates.correctness.judged import LEAST, Case, judge_cases, pairs
from builder.gates.correctness.questions import LONGEST, TOKENS, Question, prompts, texts, written
from builder.gates.correctness.tolerances import EXACT, VECTOR, Tolerance
from builder.gates.verdict import Outcome
from builder.profiles import profile
from builder.server.foresight import Step
from builder.server.help import Help, Option
from builder.server.log import LogFacts
from builder.server.models.vocabulary import sentence_pieces, word_pieces

RIGHT: tuple[Step, ...] = (Step(1, {1: -0.5, 2: -1.5}),) * TOKENS
WRONG: tuple[Step, ...] = (Step(1, {1: -0.9, 2: -1.1}), *RIGHT[1:])
SHORT, LONG = Question((1,) * 10, "10 tokens"), Question((1,) * 300, "300 tokens")


def case(question: Question, *, right: bool, together: bool = False, label: str = "as told") -> Case:
    return Case(label, Answer(question, together, RIGHT if right else WRONG), RIGHT, EXACT)


def test_right_answers_pass_with_figures() -> None:
    finding = judge_cases("reference", [case(SHORT, right=True), case(LONG, right=True)], "It computes")
    assert finding.check.outcome is Outcome.PASS
    assert finding.check.detail.startswith("It computes: of 2 answers all 48 tokens were compared; logarithms of")
    assert finding.measurements == {
        "reference_as_told_mean": 0,
        "reference_as_told_most": 0,
        "reference_as_told_tokens": 48,
    }


def parting(after: int) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Two answers that go on with one or the other of two tokens as probable, and then with something else."""
    one, other = Step(1, {1: -0.70, 2: -0.71}), Step(2, {2: -0.70, 1: -0.71})
    rest = TOKENS - after - 1
    return (*RIGHT[:after], one, *RIGHT[:rest]), (*RIGHT[:after], other, *(Step(9, {9: 0.0}),) * rest)


def parted(*places: int) -> list[Case]:
    both = map(parting, places)
    return [Case("as told", Answer(SHORT, False, said), expected, EXACT) for expected, said in both]


def test_answers_that_part_at_once_prove_nothing() -> None:
    finding = judge_cases("cpu", parted(0, 0), "It computes")
    assert finding.check.outcome is Outcome.UNJUDGED
    assert finding.check.detail.startswith("Only 2 of 48 tokens in 2 answers could be compared")
    assert finding.measurements["cpu_as_told_tokens"] == 2


def test_answers_that_part_late_say_how_many_tokens_were_compared() -> None:
    finding = judge_cases("cpu", parted(0, 2 * LEAST - 2), "It computes")
    assert finding.check.outcome is Outcome.PASS
    assert f"of 2 answers {2 * LEAST} of 48 tokens were compared, up to others that are as" in finding.check.detail
    assert judge_cases("cpu", parted(0, 2 * LEAST - 3), "It computes").check.outcome is Outcome.UNJUDGED


def test_an_answer_of_which_nothing_was_compared_proves_nothing() -> None:
    empty = Case("as told", Answer(LONG, False, ()), (), EXACT)
    finding = judge_cases("cpu", [case(SHORT, right=True), empty], "It computes")
    assert finding.check.outcome is Outcome.UNJUDGED


def test_a_wrong_answer_is_told_with_its_prompt() -> None:
    finding = judge_cases("reference", [case(SHORT, right=False)], "")
    assert finding.check.outcome is Outcome.FAIL
    assert finding.check.detail.startswith("Started as told, after a prompt of 10 tokens, asked alone: the words are")
    assert finding.check.detail.endswith("1 of 1 answers are wrong, so something basic is.")
    assert finding.check.excerpt[:2] == (
        "token 1: '1' has -0.900, expected -0.500",
        "token 1: '2' has -1.100, expected -1.500",
    )
    assert finding.measurements["reference_as_told_most"] == 0.4


@pytest.mark.parametrize(
    ("cases", "hint"),
    [
        (
            [case(SHORT, right=True), case(LONG, right=False)],
            "Prompts of 10 tokens and less are right, those of 300 and",
        ),
        (
            [case(SHORT, right=True), case(SHORT, right=False, together=True)],
            "Whatever was asked alone is right.",
        ),
        (
            [case(SHORT, right=True), case(SHORT, right=False, label="with f16")],
            "None of those started with f16 is right.",
        ),
    ],
)
def test_what_wrong_answers_have_in_common_is_told(cases: list[Case], hint: str) -> None:
    finding = judge_cases("reference", cases, "")
    assert "1 of 2 answers are wrong. " in finding.check.detail
    assert hint in finding.check.detail


def test_answers_of_two_servers_are_held_against_each_other() -> None:
    answers = (Answer(SHORT, False, RIGHT), Answer(SHORT, True, RIGHT))
    others = (Answer(SHORT, False, WRONG), Answer(SHORT, True, WRONG))
    wide = Tolerance(1, 1)
    cases = pairs(Responses("one", answers, LogFacts()), Responses("other", others, LogFacts()), EXACT, wide)
    assert [one.tolerance for one in cases] == [EXACT, wide]
    finding = judge_cases("graphs", cases, "")
    assert finding.check.detail.startswith("Started other, after a prompt of 10 tokens, asked alone")
    assert "1 of 2 answers" in finding.check.detail


NEW = Help({"--verbosity": Option(("--verbosity",), "N", "- 3: info\n- 5: debug")})
OLD = Help({"--verbosity": Option(("--verbosity",), "N", "how much")})


def test_graphs_are_proven_by_both_logs() -> None:
    assert graphs_unproven(LogFacts(warmed=3), LogFacts(), NEW) is None


@pytest.mark.parametrize(
    ("used", "unused", "known", "outcome", "told"),
    [
        (LogFacts(warmed=3), LogFacts(warmed=2), NEW, Outcome.FAIL, "does not turn CUDA graphs off: 2 were"),
        (LogFacts(), LogFacts(), NEW, Outcome.FAIL, "No CUDA graph was used"),
        (LogFacts(), LogFacts(), OLD, Outcome.UNJUDGED, "does not say whether"),
        (LogFacts(disabled=("GPU architecture",)), LogFacts(), NEW, Outcome.UNJUDGED, "too old for CUDA graphs"),
        (LogFacts(disabled=("unsupported node type",)), LogFacts(), NEW, Outcome.FAIL, "No CUDA graph was used"),
    ],
)
def test_graphs_that_logs_do_not_prove_are_none(
    used: LogFacts, unused: LogFacts, known: Help, outcome: Outcome, told: str
) -> None:
    finding = graphs_unproven(used, unused, known)
    assert finding
    assert finding.check.outcome is outcome
    assert told in finding.check.detail


def test_a_right_answer_is_computed_once() -> None:
    vocabulary = sentence_pieces(2048)
    question = prompts(profile("chat"), vocabulary)[0]
    assert foretold().answer(question) is foretold().answer(Question(question.prompt, question.size))


def test_vectors_are_compared_by_angle_and_by_number() -> None:
    assert apart((1, 0), (1, 0)).within(VECTOR)
    off = apart((1, 0), (0.6, 0.8))
    assert off.mean == pytest.approx(0.4)
    assert off.most == 0.8
    assert apart((1.0, 0.0), (2.0, 0.0)).mean == pytest.approx(0)
    assert not apart((1.0, 0.0), (2.0, 0.0)).within(VECTOR)
    assert apart((1.0, 0.0), (0.0, 0.0)).mean == 1


def test_wrong_vectors_are_told_with_their_text() -> None:
    expected = {SHORT: (1.0, 0.0), LONG: (0.0, 1.0)}
    right: Answer[Vector] = Answer(SHORT, False, (1.0, 0.0))
    wrong: Answer[Vector] = Answer(LONG, True, (1.0, 0.0))
    finding, first = judge_vectors([right, wrong], expected, VECTOR, "Fine")
    assert first is wrong
    assert "text of 300 tokens, asked for together with others, is another one" in finding.check.detail
    assert "1 of 2 vectors are wrong. Whatever was asked for alone is right." in finding.check.detail
    assert finding.measurements["embeddings_most"] == 1
    finding, first = judge_vectors([right], expected, VECTOR, "Fine")
    assert (finding.check.outcome, first) == (Outcome.PASS, None)
    finding, first = judge_vectors([Answer(SHORT, False, (1.0,))], expected, VECTOR, "Fine")
    assert finding.check.detail == "A vector has 1 numbers instead of 2."


@pytest.mark.parametrize(
    ("values", "lengths"),
    [
        ({}, [10, 300, 2020, 60]),
        ({"slots": 1, "context": 16384}, [10, 300, LONGEST, 60]),
        ({"slots": 4, "context": 1024}, [10, 228, 228, 60]),
        ({"slots": 9, "context": 9 * 2048}, [10, 300, 2020, 60, 10, 300, 300, 60]),
        ({"slots": 64, "context": 1024}, [1] * 8),
    ],
)
def test_prompts_fit_into_a_slot_and_fill_all(values: dict[str, int], lengths: list[int]) -> None:
    served = profile("chat", **values)
    vocabulary = sentence_pieces(2048)
    asked = prompts(served, vocabulary)
    assert [len(question.prompt) for question in asked] == lengths
    assert len(set(asked)) == len(asked)
    assert all(question.prompt and min(map(int, question.prompt)) >= vocabulary.first_word for question in asked)
    assert max(lengths) + TOKENS <= max(served.context // served.slots, TOKENS + 1)
    assert prompts(served, vocabulary) == asked


def test_texts_fit_into_a_micro_batch() -> None:
    vocabulary = word_pieces(2048)
    asked = texts(profile("embedding"), vocabulary, 2048)
    assert [len(question.prompt) for question in asked] == [5, 40, 200, 508]
    assert {question.prompt[0] for question in asked} == {vocabulary["[CLS]"]}
    assert {question.prompt[-1] for question in asked} == {vocabulary["[SEP]"]}
    small = texts(profile("embedding", ubatch=64), vocabulary, 2048)
    assert [len(question.prompt) for question in small] == [5, 40, 60, 60]


def test_prompts_in_words_are_of_two_lengths() -> None:
    short, long = written()
    assert len(short.prompt) < 50
    assert len(long.prompt) > 900
