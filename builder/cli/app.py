"""The program: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from builder import __version__
from builder.cli import (
    check_version,
    config,
    doctor,
    history,
    hold,
    judge,
    plan,
    promote,
    rollback,
    setup,
    upstream,
)
from builder.cli.bench.app import app as bench
from builder.cli.build.command import command as build
from builder.cli.ledger.app import app as ledger
from builder.cli.patches.app import app as patches
from builder.cli.prune.command import command as prune
from builder.cli.session import GlobalOptions
from builder.cli.soak.app import app as soak
from builder.cli.status.command import command as status
from builder.console import Reporter
from builder.documents import Documents
from builder.errors import BuilderError, ExitCode, InterruptedBySignal, MachineError

app = typer.Typer(
    name="builder",
    help="From llama.cpp upstream to container images a GPU fleet can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("build")(build)
app.command("plan")(plan.command)
app.add_typer(patches, name="patches")
app.command("judge")(judge.command)
app.command("smoke")(judge.smoke)
app.add_typer(soak, name="soak")
app.add_typer(bench, name="bench")
app.command("promote")(promote.command)
app.command("rollback")(rollback.command)
app.command("status")(status)
app.command("history")(history.command)
app.add_typer(hold.app, name="hold")
app.add_typer(ledger, name="ledger")
app.command("prune")(prune)
app.command("check-version")(check_version.command)
app.add_typer(upstream.app, name="upstream", help="Show what is new upstream, and what of it would be taken.")
app.command("setup")(setup.command)
app.command("doctor")(doctor.command)
app.command("config")(config.command)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"builder {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Configuration file; else builder.toml, from here upwards.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show each command that is run.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    context.obj = GlobalOptions(config_file, verbose, context.find_object(Documents) or Documents())


def main(arguments: list[str] | None = None) -> int:
    """Run one command line.

    Returns:
        The exit status. What a person can act on is shown; what is unexpected is raised. With `--json` either is also
        the document on standard output, and so is an interruption.
    """
    words = sys.argv[1:] if arguments is None else arguments
    documents = Documents() if "--json" in words else None
    try:
        app(args=words, prog_name="builder", obj=documents)
    except SystemExit as ending:
        if ending.code == ExitCode.INTERRUPTED:
            _end(ExitCode.INTERRUPTED, "interrupted", documents)
        return ending.code if isinstance(ending.code, int) else ExitCode.UNEXPECTED if ending.code else ExitCode.DONE
    except InterruptedBySignal as interruption:
        name = signal.Signals(interruption.signum).name
        return _end(128 + interruption.signum, f"ended by {name}", documents)
    except BuilderError as error:
        return _report(error, documents)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _report(MachineError(f"{where}{error.strerror}.", "Check the disk and its permissions."), documents)
    except Exception as fault:
        told = BuilderError(f"A fault of this program: {fault!r}.", "Report it with what standard error says.")
        _give(documents, told, told.exit_code)
        raise
    return ExitCode.DONE


def _report(error: BuilderError, documents: Documents | None) -> int:
    _give(documents, error, error.exit_code)
    Reporter().error(error)
    return error.exit_code


def _end(status: int, notice: str, documents: Documents | None) -> int:
    _give(documents, BuilderError(f"{notice[0].upper()}{notice[1:]}.", "Run it again."), status)
    Reporter().notice(notice)
    return status


def _give(documents: Documents | None, error: BuilderError, status: int) -> None:
    """Say an error to other programs too, unless they have been given an answer."""
    if documents:
        documents.give({"schema_version": 1, "error": {**error.document(), "exit_code": int(status)}})


def entry() -> None:
    """The console script."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _interrupt)
    try:
        status = main()
    except KeyboardInterrupt:
        # A second Ctrl-C, while the first was being told.
        status = ExitCode.INTERRUPTED
    except InterruptedBySignal as again:
        status = 128 + again.signum
    sys.exit(status)


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    raise InterruptedBySignal(signum)
