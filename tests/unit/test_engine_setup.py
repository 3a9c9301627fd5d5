from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.engine.apt_sources import AptSource
from builder.engine.client import Engine
from builder.engine.machine import Distribution
from builder.engine.setup import PREFERENCES_FILE, SOURCES_FILE, Survey, carry_out, pins, plan
from builder.engine.steps import Install, Mend, Refresh, StartDaemon, Step, StopDaemon, Tools, WriteFile
from builder.errors import MachineError
from builder.process import Runner

BOOKWORM = Distribution("debian", (), "12", "bookworm", "Debian GNU/Linux 12 (bookworm)")
TRIXIE = Distribution("debian", (), "13", "trixie", "Debian GNU/Linux 13 (trixie)")
NOBLE = Distribution("ubuntu", ("debian",), "24.04", "noble", "Ubuntu 24.04.3 LTS")
KEYRING = {"Signed-By": "/usr/share/keyrings/debian-archive-keyring.gpg"}
MAIN = AptSource(("http://mirror.example/debian",), ("bookworm", "bookworm-updates"), ("main",), KEYRING)
SECURITY = AptSource(("http://mirror.example/debian-security",), ("bookworm-security",), ("main",), KEYRING)
FRESH = Survey(BOOKWORM, root=True, systemd=False, silence="there is no client", sources=(MAIN, SECURITY))


def kinds(todo: tuple[Step, ...]) -> list[type]:
    return [type(step) for step in todo]


def installation(todo: tuple[Step, ...]) -> Install:
    (step,) = (step for step in todo if isinstance(step, Install))
    return step


def files(todo: tuple[Step, ...]) -> dict[Path, str]:
    return {step.path: step.text for step in todo if isinstance(step, WriteFile)}


def test_a_ready_machine_is_left_alone() -> None:
    ready = replace(FRESH, engine="23.0.0", buildx="0.13.0", interrupted=True, containers=3)
    assert plan(ready) == ()
    assert plan(replace(ready, root=False, distribution=Distribution("arch"))) == ()


def test_debian_12_borrows_the_engine_and_pins_before_it_looks() -> None:
    todo = plan(FRESH)
    assert kinds(todo) == [WriteFile, WriteFile, Refresh, Install, StartDaemon]
    assert list(files(todo)) == [PREFERENCES_FILE, SOURCES_FILE]
    sources = files(todo)[SOURCES_FILE]
    assert "URIs: http://mirror.example/debian\nSuites: trixie\n" in sources
    assert "URIs: http://mirror.example/debian-security\nSuites: trixie-security\n" in sources
    assert installation(todo).names == ("docker.io", "docker-cli", "docker-buildx", "ca-certificates")
    assert installation(todo).optional == ("docker-compose",)


def test_a_machine_that_has_the_donor_already_gets_no_second_source() -> None:
    donor = replace(MAIN, suites=("trixie",))
    todo = plan(replace(FRESH, sources=(MAIN, donor)))
    assert list(files(todo)) == [PREFERENCES_FILE]
    assert "Package: *" not in files(todo)[PREFERENCES_FILE]


def test_debian_12_without_an_archive_cannot_borrow() -> None:
    with pytest.raises(MachineError, match="no archive of Debian") as caught:
        plan(replace(FRESH, sources=()))
    assert "sources.list" in caught.value.remedy


def test_debian_13_has_its_own_engine() -> None:
    todo = plan(replace(FRESH, distribution=TRIXIE))
    assert kinds(todo) == [Refresh, Install, StartDaemon]
    assert installation(todo).names[:3] == ("docker.io", "docker-cli", "docker-buildx")


@pytest.mark.parametrize("distribution", [NOBLE, Distribution("linuxmint", ("ubuntu", "debian"), "22")])
def test_ubuntu_names_its_packages_in_its_own_way(distribution: Distribution) -> None:
    step = installation(plan(replace(FRESH, distribution=distribution)))
    assert step.names == ("docker.io", "docker-buildx", "ca-certificates")
    assert step.optional == ("docker-compose-v2",)


@pytest.mark.parametrize(
    "distribution",
    [
        Distribution("fedora", (), "41", "", "Fedora Linux 41"),
        Distribution("debian", (), "11", "bullseye", "Debian GNU/Linux 11 (bullseye)"),
        Distribution("raspbian", ("debian",), "12", "bookworm", "Raspbian GNU/Linux 12 (bookworm)"),
    ],
)
def test_elsewhere_the_one_thing_to_do_is_named(distribution: Distribution) -> None:
    with pytest.raises(MachineError, match="No Docker engine answers") as caught:
        plan(replace(FRESH, distribution=distribution))
    assert distribution.name in caught.value.cause
    assert "docs.docker.com" in caught.value.remedy


def test_an_installed_daemon_is_only_started() -> None:
    stopped = replace(FRESH, daemon="Docker version 26.1.5+dfsg1, build 411e817", buildx="0.13.1")
    assert plan(stopped) == (StartDaemon(systemd=False),)
    assert plan(replace(stopped, distribution=Distribution("arch"), systemd=True)) == (StartDaemon(systemd=True),)


def test_what_was_interrupted_is_finished_first_and_installed_whole() -> None:
    half = replace(FRESH, daemon="Docker version 26.1.5", buildx="0.13.1", interrupted=True)
    todo = plan(half)
    assert kinds(todo)[0] is Mend
    assert "docker.io" in installation(todo).names


def test_an_engine_that_answers_only_gets_buildx() -> None:
    todo = plan(replace(FRESH, engine="26.1.5", daemon="Docker version 26.1.5", containers=2))
    assert "docker.io" not in installation(todo).names
    assert "docker-buildx" in installation(todo).names
    assert StartDaemon not in kinds(todo)


def test_buildx_for_dockers_own_packages_is_dockers_own() -> None:
    todo = plan(replace(FRESH, engine="27.0.1", from_docker=True))
    assert todo == (Refresh(), Install(("docker-ce-cli", "docker-buildx-plugin")))
    stopped = plan(replace(FRESH, daemon="Docker version 27.0.1", from_docker=True))
    assert stopped == (Refresh(), Install(("docker-ce-cli", "docker-buildx-plugin")), StartDaemon(systemd=False))


def test_an_old_engine_is_replaced_only_while_nothing_runs_on_it() -> None:
    old = replace(FRESH, engine="20.10.24+dfsg1", daemon="Docker version 20.10.24")
    assert kinds(plan(old))[-2:] == [StopDaemon, StartDaemon]
    assert StopDaemon not in kinds(plan(replace(old, systemd=True)))
    with pytest.raises(MachineError, match="3 containers run on it") as caught:
        plan(replace(old, containers=3))
    assert "Stop them" in caught.value.remedy


def test_an_old_engine_is_not_ready_though_its_client_can_build() -> None:
    old = replace(FRESH, engine="20.10.24", daemon="Docker version 20.10.24", buildx="0.13.1")
    assert not old.ready
    assert "docker.io" in installation(plan(old)).names
    with pytest.raises(MachineError, match=r"Docker Engine 20\.10\.24 answers, but it is older than 23\.0\."):
        plan(replace(old, distribution=Distribution("arch")))


def test_an_old_engine_of_dockers_own_is_replaced_from_the_same_archive() -> None:
    todo = plan(replace(FRESH, engine="20.10.24", daemon="Docker version 20.10.24", from_docker=True, systemd=True))
    assert installation(todo).names == ("docker-ce", "docker-ce-cli", "docker-buildx-plugin")


def test_an_old_daemon_whose_successor_is_installed_makes_room_for_it() -> None:
    todo = plan(replace(FRESH, engine="20.10.24", daemon="Docker version 26.1.5", buildx="0.13.1"))
    assert kinds(todo) == [StopDaemon, StartDaemon]


def test_an_engine_elsewhere_is_not_set_up_from_here() -> None:
    with pytest.raises(MachineError, match="ssh://gpu1") as caught:
        plan(replace(FRESH, elsewhere="ssh://gpu1"))
    assert "DOCKER_HOST" in caught.value.remedy
    answers = plan(replace(FRESH, elsewhere="ssh://gpu1", engine="26.1.5"))
    assert "docker-buildx" in installation(answers).names, "the plugin belongs to the client, which is here"


def test_git_is_part_of_one_installation() -> None:
    assert installation(plan(replace(FRESH, git=False))).names[-1] == "git"
    ready = replace(FRESH, engine="26.1.5", buildx="0.13.1", git=False)
    assert plan(ready) == (Refresh(), Install(("git",)))


def test_the_first_compose_is_not_replaced() -> None:
    todo = plan(replace(FRESH, compose="1.29.2-3"))
    assert installation(todo).optional == ()
    assert "docker-compose" not in files(todo)[PREFERENCES_FILE]
    assert installation(plan(replace(FRESH, compose="2.26.1-4"))).optional == ("docker-compose",)


def test_apparmor_comes_along_where_the_kernel_enforces_it() -> None:
    assert "apparmor" in installation(plan(replace(FRESH, needs_apparmor=True))).names


def test_only_root_may_carry_it_out() -> None:
    found = replace(FRESH, root=False)
    runner = Runner()
    with pytest.raises(MachineError, match="Only root can change that") as caught:
        carry_out(plan(found), found, runner, Reporter(), Engine(runner))
    assert caught.value.remedy.startswith("Run `sudo ")
    assert caught.value.remedy.endswith(" -m builder setup`.")


def test_pins_hide_the_donor_but_for_the_packages_it_lends() -> None:
    assert pins(("docker.io", "docker-cli"), ("trixie",)) == (
        "Package: *\nPin: release n=trixie\nPin-Priority: -1\n"
        "\n"
        "Package: docker.io docker-cli\nPin: release n=trixie\nPin-Priority: 500\n"
    )


def test_a_file_is_written_whole_and_may_be_written_again(tmp_path: Path) -> None:
    step = WriteFile(tmp_path / "new" / "file.sources", "one\ntwo\n", "say why")
    runner = Runner()
    for _ in range(2):
        step.take(Tools(runner, Engine(runner)))
    assert [file.name for file in step.path.parent.iterdir()] == ["file.sources"]
    assert step.path.read_text(encoding="utf-8") == "one\ntwo\n"
    assert step.details == ("one", "two")


def test_every_step_says_what_it_does() -> None:
    found = replace(FRESH, engine="20.10.24", interrupted=True, git=False)
    for step in plan(found):
        assert step.title
        assert "\n" not in step.title
        assert step.details
