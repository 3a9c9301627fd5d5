"""What is adopted, what upstream has, and what would be taken: against a real `git daemon` and a real engine."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from tests.integration.git_server import Server
from tests.integration.tracking.running import ImageMaker, Program, commit_of, older_than, ours
from tests.integration.upstreams import Upstream
from tests.tiny_program import MACHINE


def test_the_state_of_things(run: Program, upstream: Upstream, make_image: ImageMaker) -> None:
    adopted = commit_of(upstream, "b280")
    make_image(ours(280, adopted))
    expected = older_than(upstream, 12)
    said = run("upstream", "--cooldown", "12h", "--json")
    assert said.code == 0
    state = said.document
    assert state["schema_version"] == 1
    assert state["adopted"]["build_number"] == 280
    assert state["adopted"]["commit"] == adopted
    assert state["newest"]["name"] == "b300"
    assert state["builds_apart"] == 20
    assert 0 < state["days_apart"] < 10
    assert state["would_take"]["build"]["name"] == expected
    assert state["would_take"]["reason"] == "It is the newest nightly build that is older than 12h."
    assert state["standing"] == "newer"
    newer = [one["build"]["build_number"] for one in state["passed_over"]]
    assert newer == list(range(300, int(expected[1:]), -1))
    assert {one["hindrance"] for one in state["passed_over"]} == {"young"}
    shown = run("upstream", "--cooldown", "12h")
    assert all(len(line.rstrip()) <= 80 for line in shown.out.splitlines())
    for words in ("b280", "b300", "20 builds", f"{expected} (", "newer than what is adopted", "too young"):
        assert words in shown.words


def test_the_exit_code_tells_only_where_it_is_asked_to(
    run: Program, upstream: Upstream, make_image: ImageMaker
) -> None:
    assert run("upstream").code == 0
    assert run("upstream", "--exit-code").code == 6, "nothing is adopted"
    for number, code in ((299, 6), (300, 0)):
        make_image(ours(number, commit_of(upstream, f"b{number}")))
        assert run("upstream", "--exit-code").code == code
        assert run("upstream").code == 0
    said = run("upstream", "--cooldown", "12h", "--exit-code", "--json")
    assert (said.code, said.document["standing"]) == (0, "older")
    make_image(ours("unknown", "unknown"))
    said = run("upstream", "--exit-code", "--json")
    assert (said.code, said.document["standing"]) == (20, "unknown")


def test_an_adopted_build_that_is_held_is_told_and_anything_else_is_an_answer(
    run: Program, upstream: Upstream, make_image: ImageMaker
) -> None:
    make_image(ours(299, commit_of(upstream, "b299")))
    env = {"BUILDER_UPSTREAM_HOLD": "b299..=crashes on sm_86"}
    said = run("upstream", "--exit-code", "--json", env=env)
    assert (said.code, said.document["standing"]) == (6, "older")
    assert said.document["adopted"]["held"] == {"ref": "b299..", "reason": "crashes on sm_86"}
    shown = run("upstream", env=env).words
    assert "adopted is held (b299..): crashes on sm_86" in shown
    assert "That is older than what is adopted, which is held." in shown
    assert run("upstream", "--exit-code", "--ref", "b299", env=env).code == 0, "nothing else would be taken"
    other = run("upstream", "--exit-code", "--json", "--cooldown", "12h")
    assert (other.code, other.document["adopted"]["held"]) == (0, None)
    make_image(ours(299, "d" * 40))
    said = run("upstream", "--exit-code", "--json", env=env)
    assert (said.code, said.document["adopted"]["held"]["ref"]) == (6, "b299..")


def test_builds_and_commits_between_are_counted_apart(run: Program, upstream: Upstream, make_image: ImageMaker) -> None:
    oldest = int(upstream.git("tag", "--list", "b*", "--sort=version:refname").split()[0][1:])
    make_image(ours(oldest, commit_of(upstream, f"b{oldest}")))
    state = run("upstream", "--json").document
    builds = len(upstream.git("tag", "--list", "b*").split()) - 1
    assert (state["builds_apart"], state["commits_apart"]) == (builds, 300 - oldest)
    assert builds < 300 - oldest
    make_image(ours(300, commit_of(upstream, "b300")))
    upstream.git("tag", "--delete", "b300")
    ahead = run("upstream", env={"BUILDER_CACHE": f"{run.env['BUILDER_CACHE']}-anew"}).words
    assert "apart 1 commit, " in ahead
    assert "what is adopted is ahead of the channel" in ahead
    make_image(ours(oldest, commit_of(upstream, f"b{oldest}")))
    assert f"{builds} builds, {300 - oldest} commits, " in run("upstream").words


def test_a_machine_without_an_engine_is_told_what_upstream_has(run: Program, tmp_path: Path) -> None:
    said = run("upstream", env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert said.code == 0
    assert "No Docker engine answers" in said.words
    assert "b300" in said.out
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("git", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    said = run("upstream", env={"PATH": str(tools)})
    assert said.code == 0
    assert "`docker` is not installed" in said.words
    assert run("upstream", "--exit-code", env={"PATH": str(tools)}).code == 20
    assert run("upstream", env={"PATH": str(tmp_path / "nothing")}).code == 3


@pytest.mark.skipif(platform.machine() != MACHINE, reason=f"the stand-in is for {MACHINE}")
def test_an_image_that_is_not_ours_is_asked_once(run: Program, upstream: Upstream, make_image: ImageMaker) -> None:
    commit = commit_of(upstream, "b290")[:9]
    image = make_image(says=f"version: 290 ({commit})\nbuilt with GNU 14.2.0 for Linux x86_64\n".encode())
    state = run("upstream", "--json").document
    assert state["adopted"]["build_number"] == 290
    assert (state["builds_apart"], state["standing"]) == (10, "newer")
    assert "not built here" in state["adopted"]["note"]
    said = run("--verbose", "upstream", "--json")
    assert said.document["adopted"] == state["adopted"]
    assert "docker run" not in said.err
    notes = list((Path(run.env["BUILDER_CACHE"]) / "versions").iterdir())
    assert [note.name for note in notes] == [image.removeprefix("sha256:")]


def test_an_image_that_says_nothing_is_told_and_not_asked_each_time(run: Program, make_image: ImageMaker) -> None:
    make_image()
    said = run("upstream")
    assert said.code == 0
    assert "was not built here and does not say its version" in said.words
    assert "docker run" not in run("--verbose", "upstream").err


def test_a_commit_that_upstream_does_not_have_costs_no_question_to_it(
    run: Program, make_image: ImageMaker, server: Server
) -> None:
    make_image(ours("unknown", "d" * 40))
    run("upstream")
    before = server.proxy.moved()
    said = run("upstream", "--json")
    assert (server.proxy.moved() - before).connections == 1
    state = said.document
    assert (state["standing"], state["builds_apart"], state["commits_apart"]) == ("unknown", None, None)
