"""The newest builds, and what lies between two of them."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.integration.git_server import Server
from tests.integration.tracking.running import ImageMaker, Program, commit_of, ours
from tests.integration.upstreams import Upstream


def test_the_newest_builds_are_listed_with_what_is_against_them(
    run: Program, upstream: Upstream, make_image: ImageMaker
) -> None:
    make_image(ours(298, commit_of(upstream, "b298")))
    env = {"BUILDER_UPSTREAM_HOLD": "b300=slow"}
    listed = run("upstream", "list", "-n", "4", "--json", env=env).document["builds"]
    assert [one["name"] for one in listed] == ["b300", "b299", "b298", "b297"]
    assert [one["adopted"] for one in listed] == [False, False, True, False]
    assert [one["would_take"] for one in listed] == [False, True, False, False]
    assert listed[0]["passed_over"]["detail"] == "held (b300): slow"
    shown = run("upstream", "list", "-n", "4", env=env)
    lines = shown.out.splitlines()
    assert len(lines) == 5
    assert "held (b300): slow" in lines[1]
    assert "would be taken" in lines[2]
    assert "adopted" in lines[3]
    assert len(run("upstream", "list").out.splitlines()) == 21
    releases = run("upstream", "list", "--channel", "releases", "--json").document["builds"]
    assert all(one["release"] for one in releases)
    assert len(releases) == len(upstream.git("tag", "--list", "v*").split())


def test_the_log_counts_and_groups_every_commit(run: Program, upstream: Upstream, make_image: ImageMaker) -> None:
    make_image(ours(272, commit_of(upstream, "b272")))
    document = run("upstream", "log", "--json").document
    wanted = upstream.git("rev-list", "b272..b300").split()
    assert [one["commit"] for one in document["commits"]] == wanted
    assert (document["from"]["name"], document["to"]["name"], document["lost"]) == ("b272", "b300", 0)
    assert sum(document["counts"].values()) == len(wanted) == document["added"]
    for one in document["commits"]:
        changed = upstream.git("diff-tree", "-r", "--no-commit-id", "--name-only", one["commit"]).split("\n")
        assert one["paths"] == changed
        assert ("CUDA" in one["areas"]) == any(path.startswith("ggml/src/ggml-cuda") for path in changed)
        assert ("server" in one["areas"]) == any(path.startswith(("tools/server/", "common/")) for path in changed)
    shown = run("upstream", "log")
    assert shown.out.startswith("b272..b300: 28 commits in ")
    assert document["builds"] == 28
    for one in document["commits"]:
        assert datetime.fromisoformat(one["authored"]).timestamp() == int(
            upstream.git("show", "-s", "--format=%at", one["commit"])
        )
    marked = [one for one in document["commits"] if one["areas"]]
    assert all(one["subject"] in shown.out for one in marked)
    others = next(one for one in document["commits"] if not one["areas"])
    assert others["subject"] not in shown.out
    assert others["subject"] in run("upstream", "log", "--all").out
    assert marked[0]["paths"][0] in run("upstream", "log", "--paths").out


def test_the_log_needs_no_file_contents(run: Program, server: Server) -> None:
    run("upstream")
    before = server.proxy.moved()
    assert run("upstream", "log", "b198..b300", "--all", "--paths").code == 0
    assert (server.proxy.moved() - before).connections == 1, "one question for what is new"


def test_a_log_backwards_sideways_and_of_nothing(run: Program, upstream: Upstream) -> None:
    back = run("upstream", "log", "b300..b295")
    assert back.out.startswith("b300..b295 goes back: these 5 commits in ")
    assert "would be lost" in back.out
    assert run("upstream", "log", "b295..b295").out == "b295..b295: the same commit, nothing between.\n"
    side = upstream.git("rev-list", "--count", "master..gg/side-1")
    aside = run("upstream", "log", "gg/side-1..master")
    told = f"master does not stand on gg/side-1: {side} of its commits would be lost (see master..gg/side-1)."
    assert told in aside.words


def test_the_log_marks_releases_and_says_how_many_commits_are_builds(run: Program, upstream: Upstream) -> None:
    document = run("upstream", "log", "b198..b300", "--json").document
    wanted = upstream.git("tag", "--list", "v*").split()
    tagged = upstream.git("log", "--format=%D", "--decorate-refs=refs/tags/b*", "b198..b300").split("\n")
    assert document["builds"] == sum(map(bool, tagged)) < document["added"]
    assert sorted(f"v{release}" for release in document["releases"]) == sorted(wanted)
    assert [one["release"] for one in document["commits"] if one["release"]] == document["releases"]
    shown = run("upstream", "log", "b198..b300", "--all").out
    assert f"({document['builds']} of them tagged as builds)" in shown
    for tag in wanted:
        assert f"{tag} (b" in shown
        assert f"release {tag}: " in shown


def test_a_log_of_nothing_that_matters_says_how_to_see_the_rest(run: Program, upstream: Upstream) -> None:
    run("upstream")
    upstream.commit({"docs/x.md": b"x\n"}, "docs : x", tags=("b301",))
    assert "`--all` lists them" in run("upstream", "log", "b300..b301").out
    shown = run("upstream", "log", "b300..b301", "--all").out
    assert "docs : x" in shown
    assert "`--all`" not in shown


def test_what_leads_back_from_a_commit_without_a_name_can_be_run(
    run: Program, upstream: Upstream, make_image: ImageMaker
) -> None:
    make_image(ours("unknown", commit_of(upstream, "gg/side-1")))
    told = run("upstream", "log").words
    span = re.search(r"\(see (\S+)\)", told)
    assert span is not None
    assert "goes back" not in told
    back = run("upstream", "log", span[1])
    assert back.code == 0
    assert f"{commit_of(upstream, 'gg/side-1')[:9]} does not stand on b300" in back.words
    state = run("upstream")
    assert f"adopted {commit_of(upstream, 'gg/side-1')[:9]}, " in state.words


def test_a_name_of_a_branch_stands_for_a_commit_that_has_no_number_of_its_own(run: Program, upstream: Upstream) -> None:
    commit = commit_of(upstream, "gg/side-1")
    pinned = run("upstream", "--ref", "gg/side-1")
    assert f"would take gg/side-1 ({commit[:9]}), " in pinned.words
    side = {"BUILDER_UPSTREAM_BRANCH": "gg/side-1"}
    listed = run("upstream", "list", "--channel", "branch", "--json", env=side).document["builds"]
    base = upstream.git("merge-base", "master", "gg/side-1")
    assert [one["name"] for one in listed[:2]] == [one["commit"][:9] for one in listed[:2]]
    own = next(one for one in listed if one["commit"] == base)
    assert own["name"] == f"b{upstream.git('rev-list', '--count', base)}"


def test_lists_and_logs_work_without_upstream_and_say_how_old_they_are(run: Program, upstream: Upstream) -> None:
    online = run("upstream", "list", "-n", "3", "--json").document
    reached = next((Path(run.env["BUILDER_CACHE"]) / "mirrors").glob("*.reached"))
    then = time.time() - 3 * 3600
    os.utime(reached, (then, then))
    upstream.folder.rename(upstream.folder.with_name("gone"))
    listed = run("upstream", "list", "-n", "3", "--json")
    assert (listed.code, listed.document["builds"]) == (0, online["builds"])
    assert datetime.fromisoformat(listed.document["stale"]["reached"]).timestamp() == pytest.approx(then, abs=1)
    assert online["stale"] is None
    assert "It was last reached 3 h ago." in run("upstream", "list").err
    log = run("upstream", "log", "b298..b300")
    assert log.code == 0
    assert log.out.startswith("b298..b300: 2 commits")
    assert "last reached 3 h ago" in log.err
    state = run("upstream")
    assert (state.code, state.out) == (4, "")
    assert "last reached 3 h ago" in state.words
    assert "`builder upstream list`" in state.words
    assert run("upstream", "list", env={"BUILDER_CACHE": str(reached.parent.parent / "other")}).code == 4


@pytest.mark.parametrize(
    ("span", "code", "told"),
    [
        ("b299", 2, "is no span of commits"),
        ("b299...b300", 2, "is no span of commits"),
        ("b299..-x", 2, "cannot be the name"),
        ("b299..b3000", 4, "no tag, branch or commit `b3000`"),
        ("..b300", 20, "It is not known where to begin: There is no image builder-test/tracking-"),
    ],
)
def test_a_span_that_is_none(run: Program, span: str, code: int, told: str) -> None:
    said = run("upstream", "log", span)
    assert (said.code, said.out) == (code, "")
    assert told in said.words
