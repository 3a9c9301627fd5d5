"""`builder upstream log`: what lies between two builds, what matters to a GPU server first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.session import Session
from builder.cli.upstream import common

if TYPE_CHECKING:
    from rich.text import Text

    from builder.tracking.changes import Changes
    from builder.tracking.scene import Scene
    from builder.upstream.history import Area, Commit

_NAME = 10


def command(
    context: typer.Context,
    span: Annotated[
        str,
        typer.Argument(
            metavar="[A..B]",
            help="Tags, branches or commits; left out: what is adopted, and what would be taken.",
            show_default=False,
        ),
    ] = "..",
    everything: Annotated[bool, typer.Option("--all", help="Also those that touch none of these areas.")] = False,
    paths: Annotated[bool, typer.Option("--paths", help="Also the files that each commit changes.")] = False,
    origin: common.Origin = None,
    channel: common.Channel = None,
    cooldown: common.Cooldown = None,
    json: common.Json = False,
) -> None:
    """Show the commits between two builds, grouped: CUDA, server, ggml's core, build system."""
    from builder.tracking.changes import changes, parse_span
    from builder.tracking.scene import Scope, behold
    from builder.tracking.watch import Watch

    first, second = parse_span(span)
    session = Session.of(context, common.flags(origin, None, channel, cooldown))
    settings, tools = session.config.settings, common.tools(session)
    watch = Watch.of(settings, tools)
    scene = behold(watch, settings, tools, Scope(adopted=not first, offline=True))
    between = watch.mending(lambda: changes(scene, first, second))
    if json:
        session.reporter.show_json(_document(scene, between))
    else:
        for caution in between.cautions:
            session.reporter.warning(caution)
        terminal = session.reporter.out.is_terminal
        session.reporter.show(_text(between, everything=everything, with_paths=paths, fit=terminal))


def _text(between: Changes, *, everything: bool, with_paths: bool, fit: bool) -> Text:
    from rich.text import Text

    lines = [Text(line, style="bold") for line in _head(between)]
    for area, commits in _groups(between).items():
        if commits and (area or everything):
            title = area.value if area else "others"
            lines += [Text(), Text(f"{title} ({len(commits)})", style="bold")]
            for commit in commits:
                lines.append(_line(commit, between, area))
                lines += [Text(f"{'':{_NAME}} {path}", style="dim") for path in commit.paths if with_paths]
    if between.commits and not everything and not any(commit.areas for commit in between.commits):
        lines.append(Text("None touches CUDA, server, ggml's core or the build system: `--all` lists them."))
    return Text("\n", no_wrap=True, overflow="ellipsis" if fit else "ignore").join(lines)


def _line(commit: Commit, between: Changes, area: Area | None) -> Text:
    from rich.text import Text

    others = [other.value for other in commit.areas if other is not area]
    build = between.tagged.get(commit.commit)
    name = build.name if build else commit.commit[: common.DIGITS]
    release = f"release v{build.release}: " if build and build.release else ""
    marks = f"  [{', '.join(others)}]" if others else ""
    return Text.assemble((f"{name:{_NAME}} ", "cyan"), (release, "bold"), commit.subject, (marks, "dim"))


def _head(between: Changes) -> Iterator[str]:
    from builder.console import spell_age

    first, second = between.title
    count = len(between.commits)
    if not count:
        yield f"{first}..{second}: the same commit, nothing between."
        return
    span = spell_age(between.second.committed - between.first.committed)
    counts = ", ".join(f"{area.value if area else 'others'} {len(found)}" for area, found in _groups(between).items())
    commits = f"{count} commit{'' if count == 1 else 's'}" + _builds(between)
    if not between.relation.added:
        yield f"{first}..{second} goes back: these {commits} in {span} would be lost: {counts}"
    else:
        yield f"{first}..{second}: {commits} in {span}: {counts}"
    if between.relation.added and (lost := between.relation.lost):
        back = "..".join(reversed(between.handles))
        yield f"{second} does not stand on {first}: {lost} of its commits would be lost (see {back})."
    if releases := [f"v{build.release} ({build.name})" for build in between.found if build.release]:
        yield f"Releases: {', '.join(releases)}"


def _builds(between: Changes) -> str:
    """How many of the commits are builds, where not each is one."""
    tagged = sum(bool(build.tagged_numbers) for build in between.found)
    return "" if tagged == len(between.commits) else f" ({tagged} of them tagged as build{'' if tagged == 1 else 's'})"


def _groups(between: Changes) -> dict[Area | None, list[Commit]]:
    """Each commit under the most important area that it touches; None for those that touch none."""
    from builder.upstream.history import Area

    groups: dict[Area | None, list[Commit]] = {area: [] for area in (*Area, None)}
    for commit in between.commits:
        groups[next(iter(commit.areas), None)].append(commit)
    return groups


def _document(scene: Scene, between: Changes) -> dict[str, object]:
    groups = _groups(between)
    found = {build.commit: build for build in between.found}
    names = {commit: (build.name, build.release) for commit, build in found.items()}
    return {
        "schema_version": 1,
        "stale": common.stale_document(scene.stale),
        "warnings": list(between.cautions),
        **common.moves_document(scene.chooser.moves),
        "from": common.build_document(between.first),
        "to": common.build_document(between.second),
        "added": between.relation.added,
        "lost": between.relation.lost,
        "builds": sum(bool(build.tagged_numbers) for build in between.found),
        "releases": [build.release for build in between.found if build.release],
        "counts": {area.value if area else "others": len(found) for area, found in groups.items()},
        "commits": [
            {
                "commit": commit.commit,
                "name": names.get(commit.commit, (None, None))[0],
                "release": names.get(commit.commit, (None, None))[1],
                "committed": commit.committed.isoformat(),
                "authored": commit.authored.isoformat(),
                "subject": commit.subject,
                "areas": [area.value for area in commit.areas],
                "paths": list(commit.paths),
            }
            for commit in between.commits
        ],
    }
