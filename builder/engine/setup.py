"""Making a machine ready: what is missing, the steps that end it, and taking them.

The three are apart: a survey only looks, a plan only thinks, and what a step will do can be shown without
doing it. Steps can be repeated: a set-up that was cut off goes on when it is run again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from builder.console import Reporter
from builder.engine import packages, steps
from builder.engine.apt_sources import AptSource, archive_of, read_sources
from builder.engine.client import Engine
from builder.engine.machine import (
    Distribution,
    as_root,
    find_program,
    has_systemd,
    is_root,
    this_distribution,
)
from builder.engine.steps import Step, Tools
from builder.engine.unreachable import EngineSilent
from builder.engine.versions import MINIMUM_BUILDX, MINIMUM_ENGINE, reaches
from builder.errors import MachineError
from builder.process import Runner

DOCUMENTATION = "https://docs.docker.com/engine/install/"
DONOR = "trixie"
"""The Debian release that lends its engine to Debian 12, whose own is too old and comes without buildx."""
_BORROWED = ("docker.io", "docker-cli", "docker-buildx")
_ON_WISH = ("cosign",)
"""What Debian 12 lacks as well and a person may want: apt may take it from the donor, and set-up does not."""
_DOCKERS_OWN = (steps.Refresh(), steps.Install(("docker-ce", "docker-ce-cli", "docker-buildx-plugin")))
"""Docker's own engine is replaced by a newer one from the same archive; the distribution's conflicts with it."""
_SECOND_COMPOSE = Version("2")
SOURCES_FILE = Path("/etc/apt/sources.list.d/builder-engine.sources")
PREFERENCES_FILE = Path("/etc/apt/preferences.d/builder-engine")


@dataclass(frozen=True)
class Survey:
    """What a machine has that matters to its set-up.

    Attributes:
        engine: version of the engine that answers; None where none does.
        silence: why none answers.
        containers: how many run on the engine.
        elsewhere: the engine the client is told to use, where that is not this machine's own.
        buildx: version of the client's plugin; None without.
        daemon: version of the daemon that is installed, running or not.
        from_docker: the engine comes from Docker's own package archive.
        interrupted: dpkg was cut off and left packages half done.
        git: whether git is installed.
        compose: version of the docker-compose package; None without.
        needs_apparmor: the kernel enforces AppArmor and the program that loads its profiles is missing.
        sources: archives apt is set to use, our own file left out.
    """

    distribution: Distribution
    root: bool
    systemd: bool
    engine: str | None = None
    silence: str = ""
    containers: int = 0
    elsewhere: str | None = None
    buildx: str | None = None
    daemon: str | None = None
    from_docker: bool = False
    interrupted: bool = False
    git: bool = True
    compose: str | None = None
    needs_apparmor: bool = False
    sources: tuple[AptSource, ...] = ()

    @property
    def ready(self) -> bool:
        """An engine answers that can build the way we do, and so can its client."""
        return reaches(self.engine, MINIMUM_ENGINE) and reaches(self.buildx, MINIMUM_BUILDX)


def survey(runner: Runner, engine: Engine) -> Survey:
    """Look at this machine; nothing is changed.

    Raises:
        MachineError: this user may not use the engine that is there.
    """
    has_client = shutil.which("docker") is not None
    version, silence = _ask(engine) if has_client else (None, "there is no client")
    daemon = find_program("dockerd")
    return Survey(
        distribution=this_distribution(),
        root=is_root(),
        systemd=has_systemd(),
        engine=version,
        silence=silence,
        containers=len(engine.ask("ps", "--quiet").stdout.split()) if version else 0,
        elsewhere=None if engine.is_default else engine.endpoint,
        buildx=engine.buildx_version() if has_client else None,
        daemon=runner.run([daemon, "--version"], timeout=30).stdout if daemon else None,
        from_docker=packages.installed_version(runner, "docker-ce") is not None,
        interrupted=packages.is_interrupted(runner),
        git=shutil.which("git") is not None,
        compose=packages.installed_version(runner, "docker-compose"),
        needs_apparmor=_enforces_apparmor() and not find_program("apparmor_parser"),
        sources=read_sources(leave_out=SOURCES_FILE),
    )


def plan(found: Survey) -> tuple[Step, ...]:
    """What has to be done, in order; empty where the machine is ready.

    Raises:
        MachineError: something has to be done that a person must do.
    """
    todo = _with_git(_engine_steps(found), found)
    if any(isinstance(step, steps.Install) for step in todo):
        _require_known(found)
    return (steps.Mend(), *todo) if todo and found.interrupted else todo


def carry_out(todo: tuple[Step, ...], found: Survey, runner: Runner, reporter: Reporter, engine: Engine) -> None:
    """Take the steps, each announced before it is taken, and check that the engine can be used.

    Raises:
        MachineError: this is not root, a step failed, or the machine is not ready after all of them.
    """
    if not found.root:
        raise MachineError(f"{_lack(found)} Only root can change that.", f"Run `{as_root('setup')}`.")
    tools = Tools(runner, engine)
    for number, step in enumerate(todo, 1):
        reporter.notice(f"[{number}/{len(todo)}] {step.title}")
        step.take(tools)
    _verify(runner, engine)


def _with_git(todo: tuple[Step, ...], found: Survey) -> tuple[Step, ...]:
    if found.git:
        return todo
    if not any(isinstance(step, steps.Install) for step in todo):
        return (steps.Refresh(), steps.Install(("git",)), *todo)
    return tuple(
        replace(step, names=(*step.names, "git")) if isinstance(step, steps.Install) else step for step in todo
    )


def _engine_steps(found: Survey) -> tuple[Step, ...]:
    if found.ready:
        return ()
    if found.engine and reaches(found.engine, MINIMUM_ENGINE):
        return _buildx_steps(found)
    if found.elsewhere:
        raise MachineError(
            f"The engine that Docker's client is set to use, {found.elsewhere}, is not ready: {_lack(found)}",
            "Set up that machine, or unset DOCKER_HOST and run `docker context use default` to use this one.",
        )
    if found.containers:
        raise MachineError(
            f"Docker Engine {found.engine} is too old and {found.containers} containers run on it.",
            "Stop them, and run this again to replace the engine.",
        )
    start = steps.StartDaemon(found.systemd)
    stop = (steps.StopDaemon(),) if found.engine and not found.systemd else ()
    installed = reaches(found.daemon, MINIMUM_ENGINE)
    if installed and reaches(found.buildx, MINIMUM_BUILDX) and not found.interrupted:
        return (*stop, start)
    if found.from_docker:
        return (*(_buildx_steps(found) if installed else _DOCKERS_OWN), *stop, start)
    return (*_package_steps(found, _engine_packages(found)), *stop, start)


def _buildx_steps(found: Survey) -> tuple[Step, ...]:
    if found.from_docker:
        return steps.Refresh(), steps.Install(("docker-ce-cli", "docker-buildx-plugin"))
    return _package_steps(found, tuple(name for name in _engine_packages(found) if name != "docker.io"))


def _package_steps(found: Survey, names: tuple[str, ...]) -> tuple[Step, ...]:
    compose = _compose_package(found)
    borrow = _borrowing_steps(found, (*_BORROWED, *compose, *_ON_WISH)) if _borrows(found.distribution) else ()
    extra = ("ca-certificates", *(("apparmor",) if found.needs_apparmor else ()))
    return (*borrow, steps.Refresh(), steps.Install((*names, *extra), optional=compose))


def _borrowing_steps(found: Survey, names: tuple[str, ...]) -> tuple[Step, ...]:
    """Let apt see the donor release and take nothing from it but these packages.

    The pins come first: the release is never visible without them.
    """
    codename = found.distribution.codename
    main = archive_of(found.sources, codename) or archive_of(found.sources, "oldstable")
    if archive_of(found.sources, DONOR):
        return (steps.WriteFile(PREFERENCES_FILE, pins(names, ()), f"prefer {DONOR}'s {' '.join(names)}"),)
    if main is None:
        raise MachineError(
            f"apt has no archive of {found.distribution.name}, through which {DONOR} could be found.",
            "Name one in /etc/apt/sources.list, then run this again.",
        )
    security = archive_of(found.sources, f"{codename}-security")
    stanzas = [main.stanza(DONOR), *([security.stanza(f"{DONOR}-security")] if security else [])]
    suites = (DONOR, f"{DONOR}-security")
    return (
        steps.WriteFile(PREFERENCES_FILE, pins(names, suites), f"take nothing from {DONOR} but {' '.join(names)}"),
        steps.WriteFile(SOURCES_FILE, "\n".join(stanzas), f"let apt see {DONOR}"),
    )


def pins(names: tuple[str, ...], hidden: tuple[str, ...]) -> str:
    """An apt_preferences(5) text.

    Args:
        names: packages that the donor release may give.
        hidden: suites that give nothing else.
    """
    records = [f"Package: *\nPin: release n={suite}\nPin-Priority: -1\n" for suite in hidden]
    given = [f"Package: {' '.join(names)}\nPin: release n={suite}\nPin-Priority: 500\n" for suite in hidden or (DONOR,)]
    return "\n".join([*records, *given])


def _is_ubuntu(distribution: Distribution) -> bool:
    return distribution.id == "ubuntu" or "ubuntu" in distribution.like


def _borrows(distribution: Distribution) -> bool:
    return distribution.id == "debian" and distribution.version == "12"


def _engine_packages(found: Survey) -> tuple[str, ...]:
    return ("docker.io", "docker-buildx") if _is_ubuntu(found.distribution) else _BORROWED


def _compose_package(found: Survey) -> tuple[str, ...]:
    """The package of `docker compose`; none where that would replace the first Compose, which someone may use."""
    if _is_ubuntu(found.distribution):
        return ("docker-compose-v2",)
    return ("docker-compose",) if found.compose is None or reaches(found.compose, _SECOND_COMPOSE) else ()


def _require_known(found: Survey) -> None:
    distribution = found.distribution
    old = distribution.id == "debian" and distribution.version.isdecimal() and int(distribution.version) < 12  # noqa: PLR2004
    if old or not (distribution.id == "debian" or _is_ubuntu(distribution)):
        raise MachineError(
            f"{_lack(found)} Packages are installed for you on Debian 12 and later and on Ubuntu; this is "
            f"{distribution.name}.",
            f"Install Docker Engine, its buildx plugin and git as {DOCUMENTATION} says.",
        )


def _lack(found: Survey) -> str:
    """One sentence on what is missing."""
    if found.ready:
        return "git is not installed."
    if not found.engine:
        return f"No Docker engine answers ({found.silence})."
    if not reaches(found.engine, MINIMUM_ENGINE):
        return f"Docker Engine {found.engine} answers, but it is older than {MINIMUM_ENGINE}."
    if not found.buildx:
        return f"Docker Engine {found.engine} answers, but its client has no buildx."
    return f"Docker Engine {found.engine} answers, but its buildx {found.buildx} is older than {MINIMUM_BUILDX}."


def _ask(engine: Engine) -> tuple[str | None, str]:
    try:
        return engine.info().version, ""
    except EngineSilent as error:
        return None, error.cause.partition(": ")[2].rstrip(".") or error.cause


def _enforces_apparmor() -> bool:
    switch = Path("/sys/module/apparmor/parameters/enabled")
    return switch.is_file() and switch.read_text(encoding="ascii").strip() == "Y"


def _verify(runner: Runner, engine: Engine) -> None:
    version, silence = _ask(engine)
    if version is None:
        raise MachineError(f"No Docker engine answers after the set-up: {silence}.", "See `builder doctor`.")
    if not reaches(version, MINIMUM_ENGINE):
        raise MachineError(
            f"Docker Engine {version} answers after the set-up; {MINIMUM_ENGINE} is needed.",
            f"Restart Docker if a newer one is installed, or install one as {DOCUMENTATION} says.",
        )
    buildx = engine.buildx_version()
    if reaches(buildx, MINIMUM_BUILDX):
        return
    first, packaged = shutil.which("docker"), "/usr/bin/docker"
    if first != packaged and Path(packaged).exists() and " v" in runner.run([packaged, "buildx", "version"]).stdout:
        raise MachineError(
            f"The client that comes first on PATH, {first}, does not find buildx; {packaged} does.",
            f"Remove {first}, or put /usr/bin before it on PATH.",
        )
    raise MachineError(
        f"buildx is {buildx or 'not there'} after the set-up; {MINIMUM_BUILDX} is needed.",
        f"Install the buildx plugin as {DOCUMENTATION} says.",
    )
