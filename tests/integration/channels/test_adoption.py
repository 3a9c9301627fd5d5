"""Adoption files as Compose itself reads them."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builder.channels.adoption.render import Pinned, files_for
from builder.config import load
from tests.integration.channels.packaged import packaged

IMAGE = f"registry.example:5000/ai/llama@sha256:{'ab' * 32}"
STACK = """
services:
  chat-1:
    image: ${LLAMA_IMAGE:-none}
    entrypoint: ["llama-server"]
    environment: &common
      OTHER: ${OTHER:-unset}
  chat-2:
    image: local-ai-llama:latest
    environment: *common
  web:
    image: web:1
"""


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"OTHER=kept",
        b"\xef\xbb\xbfLLAMA_IMAGE=old\r\nOTHER=kept\r\n",
        b"export LLAMA_IMAGE='old' # why\nOTHER=kept\n",
        b"OTHER=kept\nLLAMA_IMAGE: old\n",
        b'LLAMA_IMAGE="o\nld"\nOTHER=kept\nexport LLAMA_IMAGE = older # and older\n',
        b'TEXT="\nLLAMA_IMAGE=old\n"\nOTHER=kept\n',
        b"LLAMA_IMAGE\nOTHER=kept\n",
        b'OTHER="kept" LLAMA_IMAGE=old\n',
    ],
)
def test_the_stack_runs_what_the_env_file_pins_and_all_else_is_as_before(tmp_path: Path, before: bytes) -> None:
    (tmp_path / ".env").write_bytes(before)
    write(tmp_path, env_file=".env")
    services = stack_in(tmp_path)
    assert services["chat-1"]["image"] == IMAGE
    assert services["chat-2"]["image"] == "local-ai-llama:latest"
    assert services["chat-1"]["environment"] == {"OTHER": "kept" if before else "unset"}


@pytest.mark.parametrize("image", [IMAGE, f"sha256:{'ab' * 32}"])
def test_the_override_changes_the_image_of_its_services_alone(tmp_path: Path, image: str) -> None:
    write(tmp_path, image, compose_file="pinned.yaml", services=["chat-1", "chat-2"])
    plain, pinned = stack_in(tmp_path), stack_in(tmp_path, "pinned.yaml")
    assert [pinned[name].pop("image") for name in ("chat-1", "chat-2", "web")] == [image, image, "web:1"]
    assert pinned["chat-1"].pop("pull_policy", None) == ("never" if image.startswith("sha256:") else None)
    pinned["chat-2"].pop("pull_policy", None)
    for service in plain.values():
        del service["image"]
    assert pinned == plain


def write(folder: Path, image: str = IMAGE, **adoption: object) -> None:
    lines = "\n".join(f"{name.replace('_', '-')} = {value!r}" for name, value in adoption.items())
    (folder / "builder.toml").write_text(f"[adoption]\n{lines}\n", encoding="utf-8")
    config = load(folder / "builder.toml", environ={})
    for file, content in files_for(config, Pinned(image, "0" * 32, datetime.now(UTC), "b10991")).items():
        file.write_bytes(content)


def stack_in(folder: Path, *overrides: str) -> dict[str, Any]:
    """The services as Compose takes them from a stack and its overrides."""
    (folder / "compose.yaml").write_text(STACK, encoding="utf-8")
    program = packaged("docker-compose", "usr/libexec/docker/cli-plugins/docker-compose")
    files = [word for name in ("compose.yaml", *overrides) for word in ("-f", name)]
    environ = {name: value for name, value in os.environ.items() if name != "LLAMA_IMAGE"}
    done = subprocess.run(
        [program, "--project-directory", ".", *files, "config", "--format", "json"],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
        env=environ,
    )
    assert done.returncode == 0, done.stderr.decode()
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services
