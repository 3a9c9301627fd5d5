"""Reading the table of `test-llama-archs`, and what it proves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.gates.correctness.architectures import finding_of, read_table
from builder.gates.correctness.program import ProgramRun
from builder.gates.verdict import Outcome

OK, FAIL, SKIP = "\x1b[1;32mOK\x1b[0m", "\x1b[1;31mFAIL\x1b[0m", "\x1b[1;33mSKIP\x1b[0m"
HEAD = (
    "|     Model arch.|     Device|Config|   NMSE vs. CPU|Roundtrip|\n"
    "|----------------|-----------|------|---------------|---------|\n"
)
REAL = (
    "|     Model arch.|  Device|Config|   NMSE vs. CPU|Roundtrip|\n"
    "|----------------|--------|------|---------------|---------|\n"
    f"|           llama|AMD EPYC| Dense|  {OK} (0.00e+00)|       {OK}|\n"
    f"|           llama|AMD EPYC|   MoE|{SKIP}           |     {SKIP}|\n"
    "Summary: all 1 test(s) passed\n"
)


def row(
    word: str = OK, error: str = "1.21e-08", again: str = OK, device: str = "NVIDIA H200", name: str = "llama"
) -> str:
    shown = f"({error})" if error else ""
    return f"|{name:>16}|{device:>11}| Dense|{word:>15} {shown:>10}|{again:>20}|\n"


def ending(*rows: str, status: int | None = 0, errors: str = "") -> ProgramRun:
    return ProgramRun(HEAD + "".join(rows), errors, status, 1.0)


def test_a_real_table_is_read() -> None:
    dense, experts = read_table(REAL)
    assert (dense.architecture, dense.device, dense.config) == ("llama", "AMD EPYC", "Dense")
    assert (dense.word, dense.error, dense.again) == ("OK", 0.0, "OK")
    assert (experts.config, experts.word, experts.error, experts.again) == ("MoE", "SKIP", None, "SKIP")


def test_models_that_come_out_right_are_told_with_their_device() -> None:
    found = finding_of(
        {"llama": ending(row(), row(error="3.00e-07")), "bert": ending(row(SKIP, "", SKIP, name="bert"))}
    )
    assert found.check.outcome is Outcome.PASS
    said = "2 models of llama come out on NVIDIA H200 as on the CPU, 3e-07 off at most. The program can make no bert."
    assert found.check.detail == said
    assert found.measurements == {"models_compared": 2, "models_worst_error": 3e-07}


@pytest.mark.parametrize(
    "wrong",
    [
        row(FAIL, "2.00e-01"),
        row(again=FAIL),
        row(f"{FAIL} (toggle)"),
        row(error="nan"),
        row(error="-nan"),
        row(error="inf"),
    ],
)
def test_a_model_that_comes_out_wrong_fails_also_where_the_program_takes_no_number_for_a_small_one(wrong: str) -> None:
    found = finding_of({"llama": ending(row(), wrong)})
    assert found.check.outcome is Outcome.FAIL
    assert found.check.detail == "1 of 2 models of llama do not come out as on the CPU."
    assert found.check.excerpt[0] == read_table(wrong)[0].line


def test_the_cpu_compared_with_itself_is_no_gpu() -> None:
    found = finding_of({"llama": ending(row(error="0.00e+00", device="AMD EPYC"))})
    assert found.check.outcome is Outcome.FAIL
    assert "compared with itself" in found.check.detail


def test_a_gpu_beside_the_cpu_counts_alone() -> None:
    found = finding_of({"llama": ending(row(error="0.00e+00", device="AMD EPYC"), row())})
    assert found.check.outcome is Outcome.PASS
    assert found.measurements["models_compared"] == 1


@pytest.mark.parametrize("rows", [(), (row(SKIP, "", SKIP),)])
def test_nothing_that_was_compared_is_no_pass(rows: tuple[str, ...]) -> None:
    found = finding_of({"llama": ending(*rows)})
    assert found.check.outcome is Outcome.UNJUDGED
    assert found.check.detail.startswith("It compared no model of llama")


def test_a_device_that_is_not_there_is_told_in_the_programs_words() -> None:
    said = "load_backend: loaded CPU backend\n0.00.000.524 E main: unknown backend device: CUDA0\n"
    found = finding_of({"llama": ending(status=1, errors=said)})
    assert found.check.outcome is Outcome.FAIL
    assert found.check.detail.endswith("gave up with status 1: 0.00.000.524 E main: unknown backend device: CUDA0")


def test_an_architecture_that_an_old_program_does_not_know_is_no_failure() -> None:
    found = finding_of({"llama": ending(row()), "qwen9": ending(status=1, errors="unkown LLM architecture: qwen9\n")})
    assert found.check.outcome is Outcome.PASS
    assert "The program can make no qwen9." in found.check.detail


def test_a_crash_in_the_midst_of_a_row_fails() -> None:
    found = finding_of({"llama": ending("|llama|NVIDIA H200| Dense|", status=139, errors="CUDA error: bad\n")})
    assert found.check.outcome is Outcome.FAIL
    assert "crashed (status 139" in found.check.detail
    assert found.check.excerpt == ("|llama|NVIDIA H200| Dense|", "CUDA error: bad")


def test_a_table_that_ends_without_a_word_is_not_judged() -> None:
    found = finding_of({"llama": ending("|llama|NVIDIA H200| Dense|")})
    assert found.check.outcome is Outcome.UNJUDGED
    assert found.check.detail.startswith("It ended in the midst of its table")


@pytest.mark.parametrize(
    ("status", "said"), [(None, "was not compared within"), (125, "status 125"), (137, "status 137")]
)
def test_what_is_no_fault_of_the_image_is_not_judged(status: int | None, said: str) -> None:
    found = finding_of({"llama": ending(status=status)})
    assert found.check.outcome is Outcome.UNJUDGED
    assert said in found.check.detail


@pytest.mark.parametrize("rows", [(), ("|bert|NVIDIA H200| Dense|",), (row(name="bert"),)])
@pytest.mark.parametrize(
    ("status", "said"), [(None, "of bert was not compared within"), (125, "status 125"), (137, "status 137")]
)
def test_no_other_architecture_is_taken_for_one_that_cannot_be_made(
    status: int | None, said: str, rows: tuple[str, ...]
) -> None:
    found = finding_of({"llama": ending(row()), "bert": ending(*rows, status=status)})
    assert found.check.outcome is Outcome.UNJUDGED
    assert said in found.check.detail
    assert found.measurements["models_compared"] == 1 + (rows == (row(name="bert"),))


@pytest.mark.parametrize("begun", ["|bert|NVIDIA H200| Dense|", row(OK, "", OK, name="bert")])
def test_a_table_of_another_architecture_that_proves_nothing_is_not_judged(begun: str) -> None:
    found = finding_of({"llama": ending(row()), "bert": ending(begun)})
    assert found.check.outcome is Outcome.UNJUDGED
    assert "bert" in found.check.detail


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert all(one.architecture for one in read_table(text))


@given(error=st.floats(0, 1), again=st.sampled_from([OK, FAIL, SKIP]), word=st.sampled_from([OK, FAIL]))
def test_each_row_is_read_as_it_was_printed(error: float, again: str, word: str) -> None:
    (found,) = read_table(row(word, f"{error:.2e}", again))
    assert found.error is not None
    assert math.isclose(found.error, error, rel_tol=0.01, abs_tol=1e-300)
    assert (found.word == "OK", found.again == "OK") == (word is OK, again is OK)
