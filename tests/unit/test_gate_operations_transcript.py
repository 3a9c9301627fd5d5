"""Reading what `test-backend-ops` prints. The forms of older programs are those of their sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.gates.correctness.transcript import Case, Result, read_transcript

GREEN, RED = "\x1b[1;32mOK\x1b[0m", "\x1b[1;31mFAIL\x1b[0m"
REAL = f"""Testing 1 devices

Backend 1/1: CPU
  Device description: AMD EPYC
  Device memory: 24105 MB (24105 MB free)

  [SCALE] ERR = 0.990766512 > 0.000000100   SCALE(type=f32,ne=[10,10,10,10],scale=2.000000,bias=0.000000): {RED}
  NORM(type=f32,ne=[64,5,4,3],v=0,eps=0.000000,noncontig_rows=0): {GREEN}
  MUL_MAT(type_a=q4_0,type_b=f16,m=16,n=1,k=256,bs=[1,1],nr=[1,1],per=[0,1,2,3],k_v=0,o=1): not supported [CPU]\x20
  2/3 tests passed

Failing tests:
  SCALE(type=f32,ne=[10,10,10,10],scale=2.000000,bias=0.000000)
  Backend CPU: {RED}
0/1 backends passed
{RED}
"""
REAL_OLD = f"""Testing 1 backends

Backend 1/1 (CPU)
  Backend name: CPU
  SCALE(type=f32,ne=[10,10,10,10],scale=2.000000): {GREEN}
  1334/1334 tests passed
  Backend CPU: {GREEN}

1/1 backends passed
{GREEN}
"""
OLD = f"""Testing 2 backends

Backend 1/2 (CPU)
  Skipping
Backend 2/2 (CUDA0)
  Backend name: CUDA0
  ADD(type=f32,ne=[1,1,8,1],nr=[1,1,1,1]): {GREEN}
  ADD(type=f32,ne=[1,1,1,1],nr=[32,1,1,1]): [ADD] NMSE = 1.5 > 0.0000001 {RED}
  ADD(type=bf16,ne=[1,1,1,1],nr=[32,1,1,1]): not supported [CUDA0] not supported [CPU]\x20
  ADD(type=f32,ne=[1,1,320,320],nr=[1,1,1,1]): compare failed {RED}
  1421/1423 tests passed
  Backend CUDA0: {RED}

1/2 backends passed
{RED}
"""


def test_a_real_transcript_is_read() -> None:
    (run,) = read_transcript(REAL)
    assert (run.name, run.description, run.ended) == ("CPU", "AMD EPYC", "FAIL")
    assert [(case.operation, case.result) for case in run.cases] == [
        ("SCALE", Result.FAILED),
        ("NORM", Result.PASSED),
        ("MUL_MAT", Result.UNSUPPORTED),
    ]
    assert run.cases[0].line.startswith("[SCALE] ERR = 0.990766512 > 0.000000100   SCALE(type=f32")
    assert run.cases[0].line.endswith("): FAIL")
    assert run.cases[2].refused_by == {"CPU"}


def test_a_real_transcript_of_the_first_form_is_read_by_its_case_not_by_its_sum() -> None:
    (run,) = read_transcript(REAL_OLD)
    assert (run.name, run.ended) == ("CPU", "OK")
    assert [(case.operation, case.result) for case in run.cases] == [("SCALE", Result.PASSED)]


def test_the_first_form_is_read() -> None:
    skipped, run = read_transcript(OLD)
    assert (skipped.name, skipped.cases) == ("CPU", [])
    assert (run.name, run.ended) == ("CUDA0", "FAIL")
    assert [case.result for case in run.cases] == [
        Result.PASSED,
        Result.FAILED,
        Result.UNSUPPORTED,
        Result.FAILED,
    ]
    assert run.cases[2].refused_by == {"CUDA0", "CPU"}


def test_a_program_that_skips_its_only_backend_ran_nothing() -> None:
    (run,) = read_transcript(f"Testing 1 devices\n\nBackend 1/1: CPU\n  Skipping\n1/1 backends passed\n{GREEN}\n")
    assert (run.name, run.cases, run.ended) == ("CPU", [], "")


def test_a_crash_in_the_midst_leaves_a_case_unfinished() -> None:
    (run,) = read_transcript("Backend 1/1 (CUDA0)\n  Backend name: CUDA0\n  ADD(type=f32): ")
    assert [(case.operation, case.result) for case in run.cases] == [("ADD", Result.UNFINISHED)]
    (run,) = read_transcript("Backend 1/1 (CUDA0)\n  Backend name: CUDA0\n  ADD(type=f3")
    assert run.cases == []


def test_a_case_without_memory_shares_its_line_with_the_next_one() -> None:
    text = f"Backend 1/1 (CUDA0)\n  ADD(a=1): failed to allocate tensors [CUDA0]   ADD(a=2): {GREEN}\n"
    (run,) = read_transcript(text)
    assert [(case.parameters, case.result) for case in run.cases] == [("a=1", Result.FAILED), ("a=2", Result.PASSED)]


def test_a_case_without_memory_that_is_only_listed_counts_as_failed() -> None:
    text = (
        f"Backend 1/1: CUDA0\nfailed to allocate tensors [CUDA0]   ADD(a=2): {GREEN}\n  1/2 tests passed\n\n"
        f"Failing tests:\n  ADD(a=1)\n  Backend CUDA0: {RED}\n"
    )
    (run,) = read_transcript(text)
    assert [(case.parameters, case.result) for case in run.cases] == [("a=2", Result.PASSED), ("a=1", Result.FAILED)]
    assert run.ended == "FAIL"


def test_the_reason_of_another_workers_failure_makes_no_failure() -> None:
    text = (
        f"Backend 1/1: CUDA0\n[MUL_MAT] NaN at index 0 (CUDA0=nan CPU=1.0)   ADD(a=1): {GREEN}\n  MUL_MAT(b=1): {RED}\n"
    )
    (run,) = read_transcript(text)
    assert [(case.operation, case.result) for case in run.cases] == [("ADD", Result.PASSED), ("MUL_MAT", Result.FAILED)]


def test_a_case_that_is_too_large_was_not_tried() -> None:
    (run,) = read_transcript("Backend 1/1: CUDA0\n  ADD(a=1): skipping large tensors for speed \n")
    assert [case.result for case in run.cases] == [Result.SKIPPED]


@pytest.mark.parametrize("text", ["", "\n", "Usage: test-backend-ops [mode]\n", "  ADD(a=1): OK\n"])
def test_what_names_no_backend_ran_on_none(text: str) -> None:
    assert read_transcript(text) == ()


NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,15}", fullmatch=True)
PARAMETERS = st.from_regex(r"[a-z]{1,4}=[a-z0-9_.]{1,6}(,ne=\[[0-9]{1,3},[0-9]\])?", fullmatch=True)
ENDS = {
    Result.PASSED: GREEN,
    Result.FAILED: RED,
    Result.UNSUPPORTED: "not supported [CUDA0] ",
    Result.SKIPPED: "skipping large tensors for speed ",
}


@given(
    cases=st.lists(st.tuples(NAMES, PARAMETERS, st.sampled_from(list(ENDS))), max_size=20),
    old=st.booleans(),
    colours=st.booleans(),
)
def test_every_case_is_counted_once_and_as_it_ended(
    cases: list[tuple[str, str, Result]], old: bool, colours: bool
) -> None:
    lines = ["Backend 1/2 (CPU)" if old else "Backend 1/2: CPU", "  Skipping"]
    lines += ["Backend 2/2 (CUDA0)" if old else "Backend 2/2: CUDA0"]
    lines += [f"  {name}({parameters}): {ENDS[result]}" for name, parameters, result in cases]
    text = "\n".join(lines) + "\n"
    if not colours:
        text = text.replace(GREEN, "OK").replace(RED, "FAIL")
    _, run = read_transcript(text)
    assert [(case.operation, case.parameters, case.result) for case in run.cases] == cases


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    for run in read_transcript(f"Backend 1/1: CUDA0\n{text}"):
        assert all(isinstance(case, Case) for case in run.cases)
