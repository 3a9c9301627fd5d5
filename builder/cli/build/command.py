"""The command: what is asked for, and what it ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from builder.cli import forms, moving, options
from builder.cli.judge import Gpus
from builder.cli.session import Session

if TYPE_CHECKING:
    from builder.chain.wish import Wish
    from builder.channels.promotion.opening import Tools
    from builder.gates.verdict import Verdict
    from builder.pipeline import Wish as BuildWish
    from builder.promoting import Wish as PromotionWish

_UNTIL = "How far to go; else as `build.until` says: promoted."
_SOAK = "Also ask the soak, which takes as long as soak.minutes says."
_DRY_RUN = "Show all that would be done, and why; build, judge and move nothing."


def command(
    context: typer.Context,
    cuda: options.Cuda = None,
    origin: options.Origin = None,
    ref: options.Ref = None,
    channel: options.Channel = None,
    cooldown: options.Cooldown = None,
    patches: options.Patches = None,
    build_number: options.BuildNumber = None,
    arch: options.Arch = None,
    feature: options.Feature = None,
    cuda_release: options.CudaRelease = None,
    bases: options.Bases = None,
    devel: options.Devel = None,
    runtime: options.Runtime = None,
    repository: Annotated[str | None, typer.Option("--name", help="Name of the image, without a tag.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Compilations at once; 0 is one per core.")] = None,
    tests: Annotated[
        bool | None, typer.Option("--tests/--no-tests", help="Also make the image with upstream's test programs.")
    ] = None,
    until: Annotated[Literal["built", "judged", "promoted"] | None, typer.Option(help=_UNTIL)] = None,
    no_promote: Annotated[bool, typer.Option("--no-promote", help="The same as --until judged.")] = False,
    gpus: Gpus = "auto",
    soak: Annotated[bool, typer.Option("--soak", help=_SOAK)] = False,
    why: moving.Why = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_DRY_RUN)] = False,
    json: forms.Json = False,
) -> None:
    """Build an image, judge it, and let the stack adopt it if it proved itself.

    What is done already for the same inputs is not done again. Exit status: that of the stage that did not give what
    was asked for, 20 where something could not be judged.
    """
    flags = options.flags(origin, ref, patches, arch, cuda_release, bases, devel, runtime, channel, cooldown)
    session = Session.of(
        context,
        {
            **flags,
            "build.features": feature or None,
            "image.repository": repository,
            "build.jobs": jobs,
            "build.tests": tests,
            "build.until": "judged" if no_promote and until is None else until,
        },
    )
    tools = _tools(session)
    promotion = moving.wish(why, None, accept_moved=False, dry_run=dry_run)
    wish = _wish(session, options.wish(session, cuda, build_number), promotion, gpus, soak=soak)
    if dry_run:
        _foresee(wish, tools, session, as_json=json)
    else:
        _run(wish, tools, session, as_json=json)


def _run(wish: Wish, tools: Tools, session: Session, *, as_json: bool) -> None:
    from builder.chain.run import run
    from builder.cli.build.document import document
    from builder.cli.build.summary import summary
    from builder.cli.verdicts import headline, spell_verdict

    def hear(verdict: Verdict) -> None:
        if as_json or verdict.outcome.value == "pass":
            session.reporter.notice(headline(verdict))
        else:
            session.reporter.show(spell_verdict(verdict))

    report = run(wish, tools, hear)
    if as_json:
        session.reporter.show_json(document(report))
    else:
        session.reporter.show(summary(report, session.logs))
        if report.refusal:
            session.reporter.error(report.refusal)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _foresee(wish: Wish, tools: Tools, session: Session, *, as_json: bool) -> None:
    from builder.chain.foresight import foresee
    from builder.cli.build.document import foreseen
    from builder.cli.build.outlook import outlook

    ahead = foresee(wish, tools)
    if as_json:
        session.reporter.show_json(foreseen(ahead))
    else:
        session.reporter.show(outlook(ahead))


def _tools(session: Session) -> Tools:
    from builder.channels.promotion.opening import Tools
    from builder.engine.client import Engine

    engine = Engine(session.runner)
    return Tools(engine, session.runner, session.reporter, session.paths, session.config, session.logs)


def _wish(session: Session, build: BuildWish, promotion: PromotionWish, gpus: str, *, soak: bool) -> Wish:
    from builder.chain.wish import Wish

    return Wish(build, promotion, session.config.settings.build.until, gpus, soak)
