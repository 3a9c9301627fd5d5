"""A Python program that is killed at one of its deeds, counted, so that no speed has a say in where.

A deed is a program that it starts, or a file that it opens for writing, makes, renames or removes. It is killed just
before; programs that it started earlier have ended.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 120.0
_FRAME = """
import os, runpy, signal, sys
last, log, way, program, *arguments = sys.argv[1:]
counter = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
deeds = {"subprocess.Popen", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.chmod"}
done = 0
def watch(event, facts):
    global done
    if event in deeds or (event == "open" and isinstance(facts[2], int) and facts[2] & (os.O_WRONLY | os.O_RDWR)):
        done += 1
        if done == int(last):
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(counter, b".")
sys.argv = [program, *arguments]
sys.path.insert(0, os.getcwd())
sys.addaudithook(watch)
if way == "-m":
    runpy.run_module(program, run_name="__main__", alter_sys=True)
else:
    exec(compile(program, "program", "exec"), {"__name__": "__main__"})
"""


@dataclass(frozen=True)
class Program:
    """What is run.

    Attributes:
        words: `-m MODULE ARGUMENT...` or `-c CODE ARGUMENT...`.
        log: a file that counts the deeds.
    """

    words: tuple[str, ...]
    log: Path
    folder: Path
    environment: Mapping[str, str]

    def count(self) -> int:
        """Run it to its end, and give the number of its deeds."""
        status, said = self._run(0)
        assert status >= 0, said
        return self.log.stat().st_size

    def kill_at(self, deed: int) -> None:
        """Run it up to a deed, from 1."""
        status, said = self._run(deed)
        assert status == -signal.SIGKILL, (status, said)

    def _run(self, last: int) -> tuple[int, str]:
        command = [sys.executable, "-B", "-c", _FRAME, str(last), str(self.log), *self.words]
        done = subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
            timeout=_PATIENCE,
        )
        return done.returncode, done.stderr


def spread(count: int, number: int) -> Iterator[int]:
    """Some of the deeds, first and last among them."""
    return iter(sorted({1 + at * (count - 1) // (number - 1) for at in range(number)}))
