"""Options that `plan` and `build` share, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import ExitCode

if TYPE_CHECKING:
    from builder.cli.session import Session
    from builder.gates.verdict import Verdict
    from builder.pipeline import Tools, Wish

Cuda = Annotated[
    bool | None, typer.Option("--cuda/--cpu", help="For NVIDIA GPUs, or for the CPU alone; else by what is here.")
]
Origin = Annotated[
    str | None,
    typer.Option(help="auto, a git URL or path, a directory, a source archive, or pypi:llama-cpp-python[==VERSION]."),
]
Ref = Annotated[str | None, typer.Option(help="latest, tip, a tag such as b10991, a branch or a commit.")]
Channel = Annotated[
    str | None, typer.Option(help="What latest chooses from: nightly (bNNNN), releases (vX.Y.Z) or branch.")
]
Cooldown = Annotated[
    str | None, typer.Option(help="latest takes the newest build older than this: 30m, 12h, 3d, 1w or 0.")
]
Patches = Annotated[str | None, typer.Option(help="Folder of the patch queue; none lays no patches.")]
BuildNumber = Annotated[int | None, typer.Option(min=2, help="For an origin that does not know its number.")]
Arch = Annotated[
    str | None, typer.Option(help="GPU architectures such as 86,89; auto: the GPUs here; default: a list.")
]
Feature = Annotated[
    list[str] | None, typer.Option(help="What a CUDA image must have: cuda-graphs, f16, flash-attention; repeatable.")
]
CudaRelease = Annotated[str | None, typer.Option(help="CUDA release such as 13.0.")]
Bases = Annotated[str | None, typer.Option(help="Base images: auto, nvidia, bootstrap or custom.")]
Devel = Annotated[str | None, typer.Option(help="Image to compile in, for --bases custom.")]
Runtime = Annotated[str | None, typer.Option(help="Image to run on, for --bases custom.")]


def flags(
    origin: str | None,
    ref: str | None,
    patches: str | None,
    arch: str | None,
    cuda_release: str | None,
    bases: str | None,
    devel: str | None,
    runtime: str | None,
    channel: str | None = None,
    cooldown: str | None = None,
) -> Mapping[str, object]:
    """The options by configuration key; None was not given."""
    return {
        "upstream.origin": origin,
        "upstream.ref": ref,
        "upstream.channel": channel,
        "upstream.cooldown": cooldown,
        "patches.folder": "" if patches == "none" else patches,
        "build.architectures": arch,
        "build.cuda": cuda_release,
        "bases.provider": bases,
        "bases.devel": devel,
        "bases.runtime": runtime,
    }


def wish(session: Session, cuda: bool | None, build_number: int | None) -> Wish:
    """What is asked of the pipeline."""
    from builder.patching import queue_place
    from builder.pipeline import Wish
    from builder.plan.plan import Variant

    variant = None if cuda is None else Variant.CUDA if cuda else Variant.CPU
    return Wish(session.config.settings, variant, build_number, queue_place(session.config))


def tools(session: Session) -> Tools:
    """What the pipeline works with."""
    from builder.engine.client import Engine
    from builder.pipeline import Tools

    return Tools(Engine(session.runner), session.runner, session.reporter, session.paths, session.logs)


def exit_code(verdict: Verdict) -> ExitCode:
    """What the version gate's verdict means for the process."""
    from builder.gates.verdict import Outcome

    codes = {Outcome.PASS: ExitCode.DONE, Outcome.FAIL: ExitCode.VERSION, Outcome.UNJUDGED: ExitCode.UNJUDGED}
    return codes[verdict.outcome]
