"""`builder plan`: what a build would do, and what in the tree says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import options
from builder.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from builder.plan.plan import BuildPlan, PlannedFeature


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
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Show what a build would do; compile nothing."""
    from builder.pipeline import make_build_plan

    flags = options.flags(origin, ref, patches, arch, cuda_release, bases, devel, runtime, channel, cooldown)
    session = Session.of(context, {**flags, "build.features": feature or None})
    plan = make_build_plan(options.wish(session, cuda, build_number), options.tools(session)).plan
    if json:
        session.reporter.show_json({"schema_version": 1, **plan.document()})
    else:
        session.reporter.show(render(plan))


def render(plan: BuildPlan) -> Group:
    """A plan for people, in 80 columns."""
    from rich.console import Group

    return Group(_inputs(plan), *(_feature(feature) for feature in plan.features), _definitions(plan))


def _inputs(plan: BuildPlan) -> Table:
    number = "unknown, stamped as 0" if plan.stamp.build_number is None else str(plan.stamp.build_number)
    by = plan.stamp.defaults_file or "CMake definitions"
    return _pairs(
        ("revision", f"{plan.revision.name} ({plan.revision.origin})"),
        ("tree", plan.tree),
        *_patches(plan),
        ("variant", f"CUDA {plan.cuda}, {plan.platform}" if plan.cuda else f"CPU, {plan.platform}"),
        *([("architectures", ", ".join(plan.architectures))] if plan.architectures else []),
        ("bases", plan.bases.provider),
        ("  devel", plan.bases.devel),
        ("  runtime", plan.bases.runtime),
        ("targets", ", ".join(plan.targets)),
        ("tests", ", ".join(plan.tests) or "none in this tree"),
        ("stamp", f"build number {number}, commit {plan.stamp.commit}, by {by}"),
        ("digest", plan.digest),
        ("tag", plan.tag),
    )


def _patches(plan: BuildPlan) -> list[tuple[str, str]]:
    if plan.patches is None:
        return []
    rows = [f"{patch.name}: {patch.standing}{patch.detail and ', '}{patch.detail}" for patch in plan.patches.patches]
    return [("patches", plan.patches.digest), *(("", row) for row in rows)]


def _feature(feature: PlannedFeature) -> Table:
    asked = ", ".join(definition.argument for definition in feature.definitions) or "without being asked"
    return _pairs(
        ("", ""),
        ("feature", feature.name),
        ("  given by", f"{feature.provision}: {asked}"),
        ("  the tree", feature.evidence),
        ("  proof", feature.proof),
    )


def _definitions(plan: BuildPlan) -> Table:
    titles = ("definitions", *[""] * len(plan.definitions))
    rows = zip(titles, (definition.argument for definition in plan.definitions), strict=False)
    return _pairs(("", ""), *rows)


def _pairs(*rows: tuple[str, str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from builder.console import printable

    table = Table(box=None, show_header=False, pad_edge=False, width=80)
    table.add_column(style="dim", no_wrap=True, width=13)
    table.add_column(overflow="fold", ratio=1)
    for title, text in rows:
        table.add_row(title, Text(printable(text)))
    return table
