"""The version gate: pass, fail, could not judge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import UsageError
from builder.gates.verdict import Outcome, Verdict
from builder.gates.version import judge
from builder.gates.version_gate import judge_built
from builder.plan.plan import Stamp
from builder.process import Runner
from builder.server.newest import newest_known_build
from builder.server.probe import Answer
from builder.server.startup import StartFailure
from builder.server.version import find_version
from builder.upstream.minimum import Minimum
from builder.upstream.origin import GitUrl
from builder.upstream.remote import folder_name


def ruled(line: str, minimum: str, newest: int | None = None) -> Verdict:
    version = find_version(line)
    assert version is not None
    return judge("a subject", Answer(version), Minimum.parse(minimum), newest)


@pytest.mark.parametrize(
    ("line", "minimum", "outcome"),
    [
        ("version: 8982 (b42c7fa5b)", "3294", Outcome.PASS),
        ("version: 3294 (b42c7fa5b)", "b3294", Outcome.PASS),
        ("version: 3293 (b42c7fa5b)", "3294", Outcome.FAIL),
        ("version: 102345 (b42c7fa5b)", "99999", Outcome.PASS),
        ("version: 0 (unknown)", "3294", Outcome.UNJUDGED),
        ("version: 1 (b42c7fa5b)", "3294", Outcome.UNJUDGED),
        ("version: 0 (unknown)", "0", Outcome.UNJUDGED),
        ("version: 0.3.0 (build 10621, commit 5d3a9c1)", "10621", Outcome.PASS),
        ("version: 0.3.0 (build 10621, commit 5d3a9c1)", "10622", Outcome.FAIL),
        ("version: 0.3.0 (build 0, commit unknown)", "3294", Outcome.PASS),
        ("version: 0.3.0 (build 1, commit 5d3a9c1)", "10360", Outcome.PASS),
        ("version: 0.3.0 (build 0, commit unknown)", "10400", Outcome.UNJUDGED),
        ("version: 0.3.0 (build 50, commit 5d3a9c1)", "3294", Outcome.PASS),
        ("version: 0.3.0 (build 50, commit 5d3a9c1)", "10400", Outcome.UNJUDGED),
        ("version: 0.3.0 (build 10621, commit 5d3a9c1)", "v0.3.0", Outcome.PASS),
        ("version: 0.10.0 (build 0, commit unknown)", "v0.9.0", Outcome.PASS),
        ("version: 0.3.0 (build 10621, commit 5d3a9c1)", "0.4", Outcome.FAIL),
        ("version: 0.5.0-dev (build 10991, commit 5d3a9c1)", "v0.5.0", Outcome.FAIL),
        ("version: 0.5.0-dev (build 10991, commit 5d3a9c1)", "v0.5.0-dev", Outcome.PASS),
        ("version: 0.5.0-dev (build 10991, commit 5d3a9c1)", "v0.4.9", Outcome.PASS),
        ("version: 0.5.0-odd.name (build 10991, commit 5d3a9c1)", "v0.4.9", Outcome.UNJUDGED),
        ("version: 8982 (b42c7fa5b)", "v0.1.0", Outcome.FAIL),
        ("version: 10360 (b42c7fa5b)", "v0.1.0", Outcome.FAIL),
        ("version: 10361 (b42c7fa5b)", "v0.1.0", Outcome.UNJUDGED),
        ("version: 0 (unknown)", "v0.1.0", Outcome.UNJUDGED),
    ],
)
def test_what_is_said_is_compared_with_what_is_wanted(line: str, minimum: str, outcome: Outcome) -> None:
    verdict = ruled(line, minimum)
    assert verdict.outcome == outcome
    assert verdict.reasons[0].endswith(".")


@given(st.integers(2, 999_999), st.integers(0, 999_999))
def test_a_known_number_is_judged_by_it_alone(number: int, minimum: int) -> None:
    outcome = ruled(f"version: {number} (b42c7fa5b)", str(minimum)).outcome
    assert outcome == (Outcome.PASS if number >= minimum else Outcome.FAIL)


@given(st.sampled_from(["0 (unknown)", "1 (b42c7fa5b)"]), st.integers(0, 999_999))
def test_what_is_unknown_is_neither_old_nor_new(said: str, minimum: int) -> None:
    assert ruled(f"version: {said}", str(minimum)).outcome == Outcome.UNJUDGED


@pytest.mark.parametrize("text", ["", "latest", "v3294", "-1", "3294.", "v", "b", "0.3.x", "1 2", "\uff19", "9" * 12])
def test_a_minimum_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Minimum.parse(text)
    assert caught.value.exit_code == 2


@given(st.text())
def test_every_other_word_is_refused_in_the_same_way(text: str) -> None:
    try:
        minimum = Minimum.parse(text)
    except UsageError:
        return
    assert (minimum.build is None) != (minimum.release is None)


def test_an_answer_without_version_is_not_judged_and_says_why() -> None:
    answer = Answer(
        failure=StartFailure("It crashed.", "Rebuild.", "Segmentation fault"), image="sha256:1", seconds=2.5
    )
    verdict = judge("an:image", answer, Minimum.parse("3294"), 10991)
    assert verdict.outcome == Outcome.UNJUDGED
    assert verdict.reasons == ("It crashed.", "It says: Segmentation fault.", "Rebuild.")
    assert (verdict.digest, verdict.seconds) == ("sha256:1", 2.5)
    assert verdict.measurements["build_number"] is None
    assert verdict.measurements["builds_behind"] is None


@pytest.mark.parametrize(("status", "outcome"), [(0, Outcome.PASS), (1, Outcome.FAIL), (139, Outcome.FAIL)])
def test_an_image_of_ours_that_crashes_after_it_printed_its_version_fails(status: int, outcome: Outcome) -> None:
    answer = Answer(find_version("version: 10000 (b42c7fa5b)"), status=status)
    verdict = judge_built("an:image", answer, Stamp(10000, "b42c7fa5b", (), None), Minimum.parse("3294"))
    assert verdict.outcome is outcome
    assert (f"status {status}, not 0" in verdict.reasons[0]) is (outcome is Outcome.FAIL)
    assert judge("an:image", answer, Minimum.parse("3294")).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("line", "behind"),
    [
        ("version: 10000 (b42c7fa5b)", 991),
        ("version: 10991 (b42c7fa5b)", 0),
        ("version: 20000 (b42c7fa5b)", 0),
        ("version: 0 (unknown)", None),
        ("version: 0.3.0 (build 50, commit 5d3a9c1)", None),
    ],
)
def test_the_distance_to_upstream_is_told_where_both_ends_are_known(line: str, behind: int | None) -> None:
    assert ruled(line, "3294", newest=10991).measurements["builds_behind"] == behind
    assert ruled(line, "3294").measurements["builds_behind"] is None


def test_the_newest_build_is_read_from_the_mirror(tmp_path: Path) -> None:
    url = "https://upstream.example/llama.cpp.git"
    mirror = tmp_path / folder_name(GitUrl(url))
    runner = Runner()
    assert newest_known_build(tmp_path, url, runner) is None
    subprocess.run(["git", "init", "--quiet", "--bare", mirror], check=True)
    assert newest_known_build(tmp_path, url, runner) is None
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    tree = subprocess.run(["git", f"--git-dir={mirror}", "mktree"], input=b"", capture_output=True, check=True)
    commit = subprocess.run(
        ["git", f"--git-dir={mirror}", *identity, "commit-tree", "-m", "m", tree.stdout.decode().strip()],
        capture_output=True,
        check=True,
    )
    for tag in ("b9999", "b10991", "b10991-rc", "v0.5.0", "big", "b0123"):
        subprocess.run(["git", f"--git-dir={mirror}", "tag", tag, commit.stdout.decode().strip()], check=True)
    assert newest_known_build(tmp_path, url, runner) == 10991
    assert newest_known_build(tmp_path, str(mirror), runner) == 10991
    assert newest_known_build(tmp_path, "https://other.example/llama.cpp.git", runner) is None
    assert newest_known_build(tmp_path, str(tmp_path / "nothing"), runner) is None
