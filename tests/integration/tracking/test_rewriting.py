"""What upstream rewrote, and what is wrong with what a person wrote."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.integration.tracking.running import DEAD, STANDIN, Program, commit_of
from tests.integration.upstreams import Upstream


def test_what_upstream_moved_is_told_passed_over_and_followed_only_when_accepted(
    run: Program, upstream: Upstream
) -> None:
    before = {name: commit_of(upstream, name) for name in ("b300", "b299")}
    run("upstream")
    upstream.tag("b300", before["b299"])
    upstream.delete("refs/tags/b299")
    state = run("upstream", "--json").document
    assert state["moved_tags"] == [{"name": "b300", "ours": before["b300"], "theirs": before["b299"]}]
    assert [move["name"] for move in state["withdrawn_tags"]] == ["b299"]
    assert state["would_take"]["build"]["name"] == "b298"
    assert [one["hindrance"] for one in state["passed_over"]] == ["moved", "withdrawn"]
    assert "not moved by upstream and not withdrawn by upstream" in state["would_take"]["reason"]
    said = run("upstream")
    assert said.err == "", "the table says it"
    assert "upstream moved the tag b300" in said.words
    assert "upstream withdrew the tag b299" in said.words
    assert "`builder upstream accept b300 b299`" in said.words
    listed = run("upstream", "list", "-n", "1", "--json").document["builds"]
    assert listed[0]["passed_over"]["hindrance"] == "moved"
    assert run("plan", "--cpu", "--ref", "b300").code == 4
    refused = run("upstream", "accept", "b298")
    assert refused.code == 2
    assert "Rewritten: b300, b299" in refused.words
    accepted = run("upstream", "accept", "b300", "b299")
    assert accepted.code == 0
    assert "b299 is gone now" in accepted.words
    state = run("upstream", "--json").document
    assert (state["would_take"]["build"]["name"], state["moved_tags"]) == ("b300", [])
    assert state["would_take"]["build"]["commit"] == before["b299"]


def test_a_rewritten_branch_is_not_taken_until_it_is_accepted(run: Program, upstream: Upstream) -> None:
    before = commit_of(upstream, "master")
    run("upstream")
    after = upstream.commit({"README.md": b"rewritten\n"}, parent="master~2")
    for words in (("--channel", "branch"), ("--ref", "tip"), ("--ref", "master"), ("--ref", "HEAD")):
        planned = run("plan", "--cpu", *words)
        assert (planned.code, planned.out) == (4, "")
        told = f"Upstream rewrote the branch `master`: it was {before} and is {after} now."
        assert told in planned.words
        assert "`builder upstream accept master`" in planned.words
        said = run("upstream", *words, "--json", "--exit-code")
        assert (said.code, said.err) == (20, "")
        state = said.document
        assert (state["would_take"], state["standing"]) == (None, "unknown")
        assert state["refusal"]["cause"] == told
        assert [move["name"] for move in state["rewritten_branches"]] == ["master"]
        assert "would take nothing. Upstream rewrote the branch `master`" in run("upstream", *words).words
    assert run("upstream", "--ref", before, "--json").document["would_take"]["build"]["commit"] == before
    assert run("upstream", "accept", "master").code == 0
    for words in (("--channel", "branch"), ("--ref", "tip")):
        state = run("upstream", *words, "--json").document
        assert state["would_take"]["build"]["commit"] == after


def test_a_moved_tag_is_refused_by_name_and_a_log_says_which_commit_it_is_about(
    run: Program, upstream: Upstream
) -> None:
    was, now = commit_of(upstream, "b299"), commit_of(upstream, "b290")
    run("upstream")
    upstream.tag("b299", now)
    upstream.delete("refs/tags/b297")
    said = run("upstream", "--ref", "b299", "--json", "--exit-code")
    assert (said.code, said.document["would_take"]) == (20, None)
    assert said.document["refusal"]["cause"] == f"Upstream moved the tag `b299`: it was {was} and is {now} now."
    assert said.document["refusal"]["exit_code"] == run("plan", "--cpu", "--ref", "b299").code == 4
    assert "would take nothing. Upstream moved the tag `b299`" in run("upstream", "--ref", "b299").words
    kept = run("upstream", "--ref", "b297", "--json").document["would_take"]
    assert "Upstream withdrew the tag b297" in kept["warnings"][0]
    log = run("upstream", "log", "b298..b299")
    assert f"warning: Upstream moved the tag b299 to {now[:9]}: b299 is {was[:9]} here, as before." in log.words
    said = run("upstream", "log", "b298..b299", "--json")
    assert (said.document["to"]["commit"], len(said.document["warnings"]), said.err) == (was, 1, "")
    assert run("upstream", "log", "b297..b298").words.count("warning:") == 1
    assert run("upstream", "log", "b295..b296").err == ""


def test_a_build_that_an_accepted_branch_lost_is_passed_over(run: Program, upstream: Upstream) -> None:
    run("upstream")
    new = upstream.commit({"README.md": b"rewritten\n"}, parent="master~2", tags=("b301",))
    state = run("upstream", "--json").document
    assert state["would_take"]["build"]["name"] == "b300"
    assert state["passed_over"][0]["detail"] == "not on master, which upstream rewrote"
    run("upstream", "accept", "master")
    state = run("upstream", "--json").document
    assert state["would_take"]["build"]["commit"] == new
    held = run("upstream", "--json", env={"BUILDER_UPSTREAM_HOLD": "b301=bad"}).document
    assert held["would_take"]["build"]["name"] == "b298"
    assert [one["hindrance"] for one in held["passed_over"]] == ["held", "astray", "astray"]
    assert [one["detail"] for one in held["passed_over"][1:]] == ["not on master"] * 2


@pytest.mark.parametrize("origin", ["pypi:llama-cpp-python", str(STANDIN)])
def test_an_origin_without_builds_is_refused_with_what_to_do(run: Program, origin: str) -> None:
    for words in ((), ("list",), ("log", "b1..b2"), ("accept", "b1")):
        said = run("upstream", *words, "--origin", origin)
        assert (said.code, said.out) == (2, "")
        assert "has no builds to choose from" in said.words
        assert "git URL" in said.words


def test_auto_falls_back_to_nothing(run: Program) -> None:
    said = run("upstream", "--origin", "auto", env={"BUILDER_UPSTREAM_REPOSITORY": DEAD})
    assert (said.code, said.out) == (4, "")
    assert "refused" in said.words


def test_a_repository_on_this_machine_is_read_where_it_lies(run: Program, upstream: Upstream) -> None:
    said = run("upstream", "--origin", str(upstream.folder), "--json")
    assert said.document["would_take"]["build"]["name"] == "b300"
    said = run("upstream", "accept", "b300", "--origin", str(upstream.folder))
    assert said.code == 2
    assert "read where it lies" in said.words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--json", "list"), "stand after its name"),
        (("--channel", "weekly"), "nightly, releases or branch"),
        (("--cooldown", "12"), "12h"),
        (("--ref", "b3000"), "`b3000`"),
        (("--ref", "a b"), "cannot be the name"),
    ],
)
def test_wrong_words_are_refused_with_what_is_right(run: Program, words: tuple[str, ...], told: str) -> None:
    said = run("upstream", *words)
    assert said.code in (2, 4)
    assert told in said.words


def test_a_branch_that_is_not_there(run: Program) -> None:
    said = run("upstream", "--channel", "branch", env={"BUILDER_UPSTREAM_BRANCH": "mastre"})
    assert said.code == 4
    assert "no branch `mastre`" in said.words
    assert "such as master" in said.words


def test_interrupted_while_the_server_is_silent(run: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"git://127.0.0.1:{mute.getsockname()[1]}/llama.cpp"
        process = subprocess.Popen(
            [sys.executable, "-m", "builder", "upstream", "--origin", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **run.env},
        )
        mute.settimeout(60)
        connection, _ = mute.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err
    assert "Traceback" not in err
