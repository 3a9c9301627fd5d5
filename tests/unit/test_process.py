"""Running other programs."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from builder.errors import MachineError
from builder.process import CommandTimeout, Runner, as_shell_line, without_credentials


def _is_gone(pid: int) -> bool:
    """Whether a process has ended, or does so in a moment: a signal takes its time."""
    deadline = time.monotonic() + 30
    while _state(pid) not in ("", "Z"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_output_and_status_come_back(tmp_path: Path) -> None:
    done = Runner(tmp_path / "commands.sh").run(["sh", "-c", "printf out; printf err >&2; exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, "out", "err")
    assert (tmp_path / "commands.sh").read_text() == "sh -c 'printf out; printf err >&2; exit 3'\n"


def test_what_is_recorded_can_be_run_again(tmp_path: Path) -> None:
    record = tmp_path / "commands.sh"
    Runner(record).run(["printf", "%s", "a b'c$HOME"])
    assert Runner().run(["sh", str(record)]).stdout == "a b'c$HOME"


def test_what_cannot_be_recorded_from_the_start_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="No space left"):
        Runner(Path("/dev/full")).run(["touch", str(tmp_path / "done")])
    assert list(tmp_path.iterdir()) == []


def test_what_is_under_way_goes_on_where_the_disk_of_the_record_became_full(tmp_path: Path) -> None:
    record, warnings = tmp_path / "commands.sh", list[str]()
    runner = Runner(record, warn=warnings.append)
    runner.run(["true"])
    record.rename(tmp_path / "kept")
    record.symlink_to("/dev/full")
    assert [runner.run(["printf", "%s", word]).stdout for word in ("one", "two")] == ["one", "two"]
    assert len(warnings) == 1
    assert "No space left" in warnings[0]
    assert (tmp_path / "kept").read_text() == "true\n"


def test_no_half_of_a_command_is_recorded(tmp_path: Path) -> None:
    record = tmp_path / "commands.sh"
    script = f"""
import resource
from pathlib import Path
from builder.process import Runner
resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
runner = Runner(Path({str(record)!r}))
for _ in range(3):
    assert runner.run(["printf", "%s", "xyz"]).stdout == "xyz"
"""
    done = Runner().run([sys.executable, "-c", script])
    assert done.returncode == 0, done.stderr
    assert record.read_text() == "printf %s xyz\n"


def test_output_need_not_be_utf8() -> None:
    assert Runner().run(["printf", r"\351"]).stdout == "\ufffd"
    assert Runner().run(["printf", r"\351"]).raw == b"\xe9"


def test_missing_program_is_the_machines_fault() -> None:
    with pytest.raises(MachineError, match="no-such-program"):
        Runner().run(["no-such-program"])


def test_time_limit_ends_the_whole_group(tmp_path: Path) -> None:
    child = tmp_path / "pid"
    with pytest.raises(CommandTimeout, match="2 s"):
        Runner().run(["sh", "-c", f"sleep 60 & echo $! > {child}; wait"], timeout=2)
    assert _is_gone(int(child.read_text()))


def test_stream_hands_over_output_and_ends_the_group_on_a_limit(tmp_path: Path) -> None:
    child, seen = tmp_path / "pid", bytearray()
    script = f"echo hello; sleep 60 & echo $! > {child}; wait"
    with pytest.raises(CommandTimeout):
        Runner().stream(["sh", "-c", script], seen.extend, seen.extend, timeout=2)
    assert seen == b"hello\n"
    assert _is_gone(int(child.read_text()))


def test_interruption_ends_the_group(tmp_path: Path) -> None:
    child = tmp_path / "pid"

    def interrupt() -> None:
        if child.exists() and child.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Runner().stream(
            ["sh", "-c", f"sleep 60 & echo $! > {child}; wait"], lambda _: None, lambda _: None, on_idle=interrupt
        )
    assert _is_gone(int(child.read_text()))


def test_group_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    started = time.monotonic()
    with pytest.raises(CommandTimeout):
        Runner(grace=0.3).run(["sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 0.1; done"], timeout=2)
    assert ready.exists()
    assert time.monotonic() - started < 60


def test_what_a_failed_command_left_does_not_keep_a_lock(tmp_path: Path) -> None:
    child = tmp_path / "pid"
    script = f"sleep 600 > {tmp_path}/out 2>&1 & echo $! > {child}; exit 3"
    with (tmp_path / "lock").open("w") as lock:
        done = Runner().run(["sh", "-c", script], pass_fds=(lock.fileno(),))
    assert done.returncode == 3
    assert _is_gone(int(child.read_text()))


def test_status_of_a_signal() -> None:
    status = Runner().stream(["sh", "-c", "kill -ABRT $$"], lambda _: None, lambda _: None)
    assert status == -signal.SIGABRT


def test_credentials_are_never_recorded(tmp_path: Path) -> None:
    record = tmp_path / "commands.sh"
    Runner(record).run(["true", "https://user:secret@example.org/x.git"])
    assert "secret" not in record.read_text()
    assert without_credentials("see https://token@example.org/") == "see https://example.org/"
    assert as_shell_line(["git", "clone", "https://a:b@c/d"]) == "git clone https://c/d"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("--env", "LLAMA_API_KEY=hunter2"), "--env 'LLAMA_API_KEY=***'"),
        (("--env=HF_TOKEN=hunter2", "x"), "'--env=HF_TOKEN=***' x"),
        (("DB_PASSWORD_1=hunter2\nhunter2",), "'DB_PASSWORD_1=***'"),
        (("secret=hunter2",), "'secret=***'"),
        (("--api-key", "hunter2", "--port", "1"), "--api-key '***' --port 1"),
        (("--api-key=hunter2",), "'--api-key=***'"),
        (("--hf-token", "hunter2", "x"), "--hf-token '***' x"),
        (("-hft", "hunter2"), "-hft '***'"),
        (("--hf-token=hunter2",), "'--hf-token=***'"),
        (("--password", "-hunter2"), "--password '***'"),
        (("AUTH=hunter2", "--env=AUTH=hunter2"), "'AUTH=***' '--env=AUTH=***'"),
        (
            ("DB_PASS=hunter2", "AWS_ID=hunter2", "SIGNING_KEY_OLD=hunter2"),
            "'DB_PASS=***' 'AWS_ID=***' 'SIGNING_KEY_OLD=***'",
        ),
        (("--api-key-file", "/a", "--max-tokens", "5", "--no-auth", "x", "--auth"), None),
        ((), None),
        (("MAX_TOKENS=5", "KEY", "--keyring=/a", "TOKEN="), "MAX_TOKENS=5 KEY --keyring=/a TOKEN="),
    ],
)
def test_secrets_of_variables_and_options_are_never_recorded(words: tuple[str, ...], shown: str | None) -> None:
    assert as_shell_line(words) == (" ".join(words) if shown is None else shown)


def test_secrets_of_a_librarys_commands_are_never_recorded(tmp_path: Path) -> None:
    record = tmp_path / "commands.sh"
    Runner(record).record_commands_of("a_library_of_this_test")
    logging.getLogger("a_library_of_this_test").info("Running command: docker run --env A_KEY=hunter2 x")
    assert record.read_text() == "docker run --env A_KEY=*** x\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:s3c/ret@localhost:1/x", "https://localhost:1/x"),
        ("https://u:s3c?ret@h/x", "https://h/x"),
        ("https://u:s3c#ret@h/x", "https://h/x"),
        ("https://u:s3@c/ret@h/x", "https://h/x"),
        ("https://to/ken@h/x", "https://h/x"),
        ("https://to/ken@h/@scope/x", "https://h/@scope/x"),
        ("error: 'https://u:s3c/ret@h/x' and https://a/b", "error: 'https://h/x' and https://a/b"),
        ("https://u:s3c'ret/@h/x", "https://h/x"),
        ("https://registry.npmjs.org/@scope/x", "https://registry.npmjs.org/@scope/x"),
        ("file:///srv/a@b", "file:///srv/a@b"),
        ("docker-image://registry.example:5000/x@sha256:ab", "docker-image://registry.example:5000/x@sha256:ab"),
        ("docker-image://ubuntu@sha256:ab", "docker-image://ubuntu@sha256:ab"),
        ("see https://h/x, or ask a@b", "see https://h/x, or ask a@b"),
    ],
)
def test_no_password_is_shown_whatever_it_holds(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_a_quoted_password_is_not_shown_either() -> None:
    assert "ret" not in as_shell_line(["git", "clone", "https://u:s'3c/ret@h/x"])


def test_environment_is_added_to() -> None:
    done = Runner().run(["sh", "-c", 'printf "%s %s" "$ADDED" "${PATH:+path}"'], env={"ADDED": "yes"})
    assert done.stdout == "yes path"
    assert "ADDED" not in os.environ
