"""What the rules of the configuration make of an upstream."""

from __future__ import annotations

from pathlib import Path

from tests.integration.tracking.running import Program, commit_of, older_than
from tests.integration.upstreams import Upstream


def test_builds_are_held_by_the_file(run: Program, upstream: Upstream, tmp_path: Path) -> None:
    commit = commit_of(upstream, "b297")
    (tmp_path / "builder.toml").write_text(
        f'[upstream]\nhold = [{{ ref = "b298..", reason = "slow" }}, {{ ref = "{commit[:8]}", reason = "wrong" }}]\n'
    )
    state = run("upstream", "--json").document
    assert state["would_take"]["build"]["name"] == "b296"
    assert [(one["build"]["name"], one["detail"]) for one in state["passed_over"]] == [
        ("b300", "held (b298..): slow"),
        ("b299", "held (b298..): slow"),
        ("b298", "held (b298..): slow"),
        ("b297", f"held ({commit[:8]}): wrong"),
    ]


def test_a_range_of_releases_holds_the_builds_between(run: Program, upstream: Upstream) -> None:
    first, last = (int(upstream.git("rev-list", "--count", tag)) for tag in ("v0.1.1", "v0.1.2"))
    for ref, wanted in (("v0.1.1..v0.1.2", range(first, last + 1)), ("v0.1.2..", range(last, 301))):
        env = {"BUILDER_UPSTREAM_HOLD": f"{ref}=slow"}
        listed = run("upstream", "list", "-n", "40", "--json", env=env).document["builds"]
        assert len(listed) == 40
        held = [one["build_number"] for one in listed if one["passed_over"]]
        assert held == sorted((set(wanted) & {one["build_number"] for one in listed}), reverse=True)
        assert len(held) > 2


def test_a_hold_that_nothing_is_known_for_is_told(run: Program, upstream: Upstream) -> None:
    known = (commit_of(upstream, "gg/side-1"), commit_of(upstream, "b300~150")[:8], "b299", "v0.1.0..", "..b100")
    idle = ("b2999", "b301..", "v0.2.0", "abcdef0", "a" * 40)
    env = {"BUILDER_UPSTREAM_HOLD": ",".join(f"{ref}=slow" for ref in (*known, *idle))}
    document = run("upstream", "--json", env=env).document
    assert [one["ref"] for one in document["idle_holds"]] == list(idle)
    shown = run("upstream", env=env)
    assert shown.words.count("matches no build that is known") == len(idle)
    assert "The hold b2999 (slow) matches no build that is known: is a digit wrong?" in shown.words


def test_what_is_shown_leads_on_to_the_same(run: Program) -> None:
    shown = run("upstream", "--cooldown", "5d")
    count = len(run("upstream", "--cooldown", "5d", "--json").document["passed_over"])
    assert f"and {count - 5} more: `builder upstream list -n {count + 1} --cooldown 5d`" in shown.words
    listed = run("upstream", "list", "-n", str(count + 1), "--cooldown", "5d", "--json").document["builds"]
    assert [one["would_take"] for one in listed] == [False] * count + [True]


def test_each_channel(run: Program, upstream: Upstream) -> None:
    upstream.git("tag", "--delete", "b300")
    releases = sorted(upstream.git("tag", "--list", "v*").split(), key=lambda tag: [int(n) for n in tag[1:].split(".")])
    found = {
        channel: run("upstream", "--channel", channel, "--json").document["would_take"]["build"]
        for channel in ("nightly", "releases", "branch")
    }
    assert found["nightly"]["name"] == "b299"
    assert f"v{found['releases']['release']}" == releases[-1]
    assert found["branch"]["name"] == "b300"
    assert found["branch"]["commit"] == commit_of(upstream, "master")
    assert found["branch"]["tags"] == []
    held = {"BUILDER_UPSTREAM_HOLD": "b300=counted,b299=tagged"}
    assert run("upstream", "--channel", "branch", "--json", env=held).document["would_take"]["build"]["name"] == "b298"
    other = run("upstream", "--channel", "branch", "--json", env={"BUILDER_UPSTREAM_BRANCH": "gg/side-1"}).document
    assert other["would_take"]["build"]["commit"] == commit_of(upstream, "gg/side-1")


def test_the_tip_knows_neither_cooldown_nor_hold(run: Program, upstream: Upstream) -> None:
    env = {"BUILDER_UPSTREAM_HOLD": "b300=slow"}
    state = run("upstream", "--ref", "tip", "--cooldown", "1w", "--json", env=env).document
    assert state["would_take"]["build"]["commit"] == commit_of(upstream, "master")
    assert state["passed_over"] == []


def test_where_nothing_is_left_the_state_says_why(run: Program) -> None:
    said = run("upstream", "--cooldown", "99w", "--json", "--exit-code")
    assert (said.code, said.document["standing"], said.document["would_take"]) == (0, "nothing", None)
    assert "younger than 99w" in said.document["refusal"]["cause"]
    assert "Wait until" in run("upstream", "--cooldown", "99w").words


def test_a_plan_takes_what_the_rules_give_and_says_why(run: Program, upstream: Upstream) -> None:
    said = run("plan", "--cpu", "--cooldown", "12h", "--json")
    expected = older_than(upstream, 12)
    assert f"Taking {expected}. It is the newest nightly build that is older than 12h." in said.words
    assert "Passed over: b300 (too young" in said.words
    newest = run("plan", "--cpu", "--json")
    assert "Taking b" not in newest.words


def test_a_pin_that_is_held_is_taken_with_a_warning_and_one_that_is_too_old_is_not(run: Program) -> None:
    held = {"BUILDER_UPSTREAM_HOLD": "b290..b295=half the speed"}
    said = run("plan", "--cpu", "--ref", "b292", env=held)
    assert "warning: b292 is held (b290..b295: half the speed) and taken all the same" in said.words
    assert "held" not in run("plan", "--cpu", "--ref", "b296", env=held).words
    said = run("plan", "--cpu", "--ref", "b292", env={"BUILDER_VERSION_MINIMUM": "293"})
    assert (said.code, said.out) == (2, "")
    assert "b292 is older than the minimum b293" in said.words
    said = run("upstream", "--ref", "b292", env={"BUILDER_VERSION_MINIMUM": "v9.0.0"})
    assert said.code == 0, "no release is that new, so its number is not known"
