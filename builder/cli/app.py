"""The program: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from builder import __version__
from builder.cli import build, check_version, config, doctor, plan, setup
from builder.cli.session import GlobalOptions
from builder.console import Reporter
from builder.errors import BuilderError, ExitCode, InterruptedBySignal, MachineError

app = typer.Typer(
    name="builder",
    help="From llama.cpp upstream to container images a GPU fleet can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("build")(build.command)
app.command("plan")(plan.command)
app.command("check-version")(check_version.command)
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
    context.obj = GlobalOptions(config_file, verbose)


def main(arguments: list[str] | None = None) -> int:
    """Run one command line.

    Returns:
        The exit status. What a person can act on is shown, with `--json` also as the document on standard output;
        what is unexpected is raised.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=words, prog_name="builder")
    except SystemExit as ending:
        if ending.code == ExitCode.INTERRUPTED:
            Reporter().notice("interrupted")
        return ending.code if isinstance(ending.code, int) else ExitCode.UNEXPECTED if ending.code else ExitCode.DONE
    except InterruptedBySignal as interruption:
        Reporter().notice(f"ended by {signal.Signals(interruption.signum).name}")
        return 128 + interruption.signum
    except BuilderError as error:
        return _report(error, as_json="--json" in words)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _report(
            MachineError(f"{where}{error.strerror}.", "Check the disk and its permissions."), as_json="--json" in words
        )
    return ExitCode.DONE


def _report(error: BuilderError, *, as_json: bool) -> int:
    reporter = Reporter()
    reporter.error(error)
    if as_json:
        reporter.show_json({"schema_version": 1, "error": error.document()})
    return error.exit_code


def entry() -> None:
    """The console script."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _interrupt)
    sys.exit(main())


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    raise InterruptedBySignal(signum)
