"""What tried operations come to."""

from __future__ import annotations

import pytest

from builder.gates.correctness.needed import Operations
from builder.gates.correctness.program import ProgramRun
from builder.gates.correctness.tally import Attempt, Tally
from builder.gates.finding import Finding
from builder.gates.verdict import Outcome

WANTED = Operations(("ADD", "MUL_MAT"), ("SET_ROWS",), ("ADD_ADD",), "")


def transcript(*lines: str, backend: str = "CUDA0", end: str = "OK") -> str:
    last = [f"  Backend {backend}: {end}"] if end else []
    return "\n".join([f"Backend 1/1: {backend}", "  Device description: NVIDIA H200", *lines, *last]) + "\n"


def tally(*endings: tuple[str, int | None] | None, known: frozenset[str] | None = None, errors: str = "") -> Finding:
    attempts = [Attempt(("ADD", "MUL_MAT"), one and ProgramRun(one[0], errors, one[1], 1.5)) for one in endings]
    return Tally("CUDA0", WANTED, known, tuple(attempts), 120).finding()


RIGHT = ("  ADD(a=1): OK", "  MUL_MAT(a=1): OK", "  MUL_MAT(a=2): not supported [CUDA0]")


def test_what_passed_is_told_with_its_device_and_figures() -> None:
    found = tally((transcript(*RIGHT), 0))
    assert found.check.outcome is Outcome.PASS
    said = "2 operations come out right on CUDA0 (NVIDIA H200) in 2 cases; 1 more are not supported."
    assert found.check.detail == said
    assert found.check.excerpt == ("ADD: 1 passed", "MUL_MAT: 1 passed, 1 not supported")
    assert found.measurements == {
        "operations": 2,
        "operation_cases": 2,
        "operation_cases_failed": 0,
        "operation_cases_not_supported": 1,
        "operation_seconds": 1.5,
    }


def test_a_case_that_fails_fails_and_each_operation_is_shown_first() -> None:
    wrong = ("  ADD(a=1): FAIL", "  ADD(a=2): FAIL", "  ADD(a=3): OK", "  MUL_MAT(a=1): FAIL")
    found = tally((transcript(*wrong, end="FAIL"), 1))
    assert found.check.outcome is Outcome.FAIL
    assert found.check.detail == "3 of 4 cases of ADD, MUL_MAT do not come out on CUDA0 as they should."
    assert found.check.excerpt == ("ADD(a=1): FAIL", "MUL_MAT(a=1): FAIL", "ADD(a=2): FAIL")


def test_exit_0_on_the_cpu_alone_is_a_failure() -> None:
    found = tally(("Backend 1/1: CPU\n  Skipping\n1/1 backends passed\nOK\n", 0), errors="no CUDA-capable device\n")
    assert found.check.outcome is Outcome.FAIL
    assert found.check.detail == "It names no backend CUDA0; those that it names: CPU."
    assert found.check.excerpt == ("no CUDA-capable device",)


def test_cases_of_another_backend_do_not_count() -> None:
    found = tally((transcript(*RIGHT, backend="CUDA1") + "Backend 2/2: CUDA0\n  Backend CUDA0: OK\n", 0))
    assert found.check.outcome is Outcome.UNJUDGED


def test_an_operation_of_which_the_gpu_supports_no_case_is_a_failure() -> None:
    refused = ("  ADD(a=1): OK", *(f"  MUL_MAT(a={n}): not supported [CUDA0]" for n in range(3)))
    found = tally((transcript(*refused), 0))
    assert found.check.outcome is Outcome.FAIL
    assert found.check.detail == "CUDA0 supports none of 3 cases of MUL_MAT: a server computes it on the CPU."


def test_cases_that_only_the_cpu_does_not_support_prove_nothing() -> None:
    found = tally((transcript("  ADD(a=1): OK", "  MUL_MAT(a=1): not supported [CPU]"), 0))
    assert found.check.outcome is Outcome.UNJUDGED
    assert found.check.detail.startswith("MUL_MAT: the program ran no case of it")


def test_an_operation_without_a_case_is_not_judged() -> None:
    found = tally((transcript("  ADD(a=1): OK"), 0))
    assert found.check.outcome is Outcome.UNJUDGED
    assert "MUL_MAT: the program ran no case of it" in found.check.detail


def test_a_later_operation_is_needed_where_the_program_knows_it() -> None:
    assert tally((transcript(*RIGHT), 0), known=frozenset({"ADD", "MUL_MAT"})).check.outcome is Outcome.PASS
    found = tally((transcript(*RIGHT), 0), known=frozenset({"ADD", "MUL_MAT", "SET_ROWS"}))
    assert found.check.outcome is Outcome.UNJUDGED
    assert "SET_ROWS: the program ran no case" in found.check.detail


@pytest.mark.parametrize(("status", "word"), [(139, "crashed"), (134, "aborted"), (132, "used an instruction")])
def test_a_crash_fails_with_where_it_was_and_its_last_words(status: int, word: str) -> None:
    text = transcript("  ADD(a=1): OK", end="") + "  MUL_MAT(a=1): "
    found = tally((text, status), errors="load_backend: loaded CUDA\nCUDA error: an illegal memory access\n")
    assert found.check.outcome is Outcome.FAIL
    assert word in found.check.detail
    assert "in a case of MUL_MAT" in found.check.detail
    assert found.check.excerpt == ("CUDA error: an illegal memory access",)


def test_a_failure_without_a_case_is_told_as_that() -> None:
    found = tally((transcript(*RIGHT, end="FAIL"), 1))
    assert found.check.outcome is Outcome.FAIL
    assert found.check.detail == "It says that CUDA0 failed, and not in which case."


def test_time_that_is_up_is_said_and_what_was_reached_counts() -> None:
    found = tally((transcript(*RIGHT), 0), (transcript(*RIGHT, end=""), None))
    assert found.check.outcome is Outcome.PASS
    assert "Time was up in the midst of" in found.check.detail
    found = tally((transcript("  ADD(a=1): OK", end=""), None), None)
    assert found.check.outcome is Outcome.UNJUDGED
    assert found.check.detail == "MUL_MAT: not reached within 120 s. Raise operations-limit of [gates]."


@pytest.mark.parametrize(
    ("output", "status", "said"),
    [
        ("", 125, "The engine did not start the program: no such device"),
        (transcript(*RIGHT, end=""), 137, "The program was killed (status 137)"),
        (transcript(*RIGHT, end=""), 0, "The program ended without summing up."),
    ],
)
def test_what_is_no_fault_of_the_image_is_not_judged(output: str, status: int, said: str) -> None:
    found = tally((output, status), errors="no such device\n")
    assert found.check.outcome is Outcome.UNJUDGED
    assert found.check.detail.startswith(said)
