"""Made models and profiles, served by real llama-servers from the summer of 2024 to the newest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from builder.engine.client import Engine
from builder.engine.throwaway import SANDBOX
from builder.errors import ExitCode
from builder.paths import Paths
from builder.profiles import Profile, profile
from builder.server.flags import Arguments, Telling, arguments
from builder.server.help import Help, parse_help
from builder.server.models.make import Model, make_model
from builder.server.models.shape import TINY, ModelKind
from builder.server.models.vocabulary import sentence_pieces
from tests.integration.conftest import builder

ERAS = tuple(os.environ.get("TEST_ERAS", "0.3.16,0.3.36").split(","))
"""Source archives to build servers from. 0.3.16 is of August 2025, 0.3.36 of October 2026. `make eras` takes July 2024
(0.2.85), October 2024 (0.3.1) and spring 2026 (0.3.28) besides, each of which compiles for minutes.
"""
PORT = 8123
TEXT = "Hello, world! The quick brown fox: 42 times, na\u00efve \u65e5\u672c\n\tok?"


def ask_help(engine: Engine, image: str) -> Help:
    """What an image's llama-server can be told."""
    done = engine.run_once(image, ["--help"], options=SANDBOX, timeout=120)
    known = parse_help(done.stdout + done.stderr)
    assert known.knows("--model"), done.stderr
    return known


@dataclass(frozen=True)
class Served:
    """A server that runs.

    Attributes:
        told: what it was started with.
    """

    client: httpx.Client
    container: str
    told: Arguments

    def post(self, path: str, **content: Any) -> dict[str, Any]:
        answer = self.client.post(path, json=content)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document


@pytest.fixture(scope="module", params=ERAS)
def image(request: pytest.FixtureRequest, engine: Engine) -> str:
    """An image of one era, made by the builder and found again in its caches."""
    origin = f"pypi:llama-cpp-python=={request.param}"
    done = builder("build", "--cpu", "--origin", origin, "--name", "builder-test/era", "--json", timeout=3300)
    assert done.returncode in {ExitCode.DONE, ExitCode.UNJUDGED}, done.stderr
    reference: str = json.loads(done.stdout)["image"]["references"][0]
    assert engine.image(reference)
    return reference


@pytest.fixture
def serve(image: str, engine: Engine, containers: Callable[..., str]) -> Iterator[Callable[..., Served]]:
    """Serve a made model as a profile says."""
    clients: list[httpx.Client] = []

    def start(wanted: Profile, model: Model) -> Served:
        told = arguments(wanted, ask_help(engine, image), "/models/model.gguf", PORT)
        container = containers(
            *("--publish", f"127.0.0.1::{PORT}", "--volume", f"{model.path}:/models/model.gguf:ro", "--read-only"),
            *("--memory", wanted.memory_limit or "2g", "--cap-drop", "ALL", "--pids-limit", "512"),
            *(image, *told.words),
        )
        port = engine.ask("port", container, str(PORT)).stdout.split()[0].rpartition(":")[2]
        clients.append(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=180))
        _wait_until_healthy(clients[-1], engine, container)
        return Served(clients[-1], container, told)

    yield start
    for client in clients:
        client.close()


def _wait_until_healthy(client: httpx.Client, engine: Engine, container: str) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            state = engine.ask("inspect", "--format", "{{.State.Running}}", container).stdout.strip()
            assert state == "true", _log(engine, container)
        time.sleep(0.1)
    pytest.fail(_log(engine, container))


def _log(engine: Engine, container: str) -> str:
    done = engine.ask("logs", container)
    return done.stdout + done.stderr


def test_a_made_chat_model_says_what_is_foretold(serve: Callable[..., Served]) -> None:
    model = make_model(ModelKind.LLAMA, Paths.default().models)
    served = serve(profile("chat"), model)
    vocabulary = sentence_pieces(TINY[ModelKind.LLAMA].vocabulary)

    tokens = served.post("/tokenize", content=TEXT)["tokens"]
    assert served.post("/detokenize", tokens=tokens)["content"].lstrip(" ") == TEXT

    prompt = "Once upon a time there was a server that would answer"
    last = served.post("/tokenize", content=prompt)["tokens"][-1]
    ahead = vocabulary.foretell(last, 48)
    request = {"prompt": prompt, "n_predict": 48, "temperature": 0.0, "cache_prompt": False}
    assert served.post("/completion", **request)["content"].lstrip() == vocabulary.spell(ahead).lstrip()
    assert len(set(ahead)) == len(ahead)

    messages = [{"role": "system", "content": "You are a server."}, {"role": "user", "content": TEXT}]
    chat = served.post("/v1/chat/completions", messages=messages, max_tokens=24, temperature=0.0)
    assert chat["usage"]["completion_tokens"] == 24
    said = vocabulary.foretell(vocabulary["<0x0A>"], 24)
    assert chat["choices"][0]["message"]["content"].strip() == vocabulary.spell(said).strip()
    assert served.client.get("/metrics").status_code == 200
    assert len(served.client.get("/slots").json()) == profile("chat").slots


@pytest.mark.parametrize("kind", [ModelKind.BERT, ModelKind.NOMIC_BERT])
def test_a_made_embedding_model_tells_like_texts_from_unlike(serve: Callable[..., Served], kind: ModelKind) -> None:
    served = serve(profile("embedding"), make_model(kind, Paths.default().models))
    assert not [note for note in served.told.notes if "gpu-layers" not in note]
    texts = [
        "The cat sat on the mat.",
        "A cat sat on a mat",
        "Revenue grew by 9 % in the quarter!",
        TEXT,
        "word " * 100,
    ]
    answer = served.post("/v1/embeddings", input=[*texts, texts[0]], model="any")
    vectors = [entry["embedding"] for entry in answer["data"]]
    assert {len(vector) for vector in vectors} == {TINY[kind].width}
    assert all(abs(_product(vector, vector) - 1) < 1e-3 for vector in vectors)
    first, like, unlike, *_, again = vectors
    assert _product(first, again) > 0.9999
    assert _product(first, again) > _product(first, like) > _product(first, unlike) + 0.05


def test_a_server_tells_of_its_buffers_in_every_era(serve: Callable[..., Served], engine: Engine) -> None:
    model = make_model(ModelKind.LLAMA, Paths.default().models)
    served = serve(profile("chat"), model)
    log = _log(engine, served.container)
    assert "buffer size" in log


def test_a_server_that_is_told_an_unknown_word_exits_at_once(engine: Engine, image: str) -> None:
    known = ask_help(engine, image)
    assert not known.knows("--no-such-word")
    done = engine.run_once(image, ["--no-such-word"], timeout=60)
    assert done.returncode != 0


def test_flash_attention_is_a_switch_or_takes_a_value(engine: Engine, image: str) -> None:
    known = ask_help(engine, image)
    told = arguments(profile("chat"), known, "/models/model.gguf", PORT, telling=Telling.USUAL).words
    after = told[told.index("--flash-attn") + 1]
    assert after == ("on" if known.options["--flash-attn"].value else "--cache-type-k")


def _product(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_models_are_readable_for_the_user_that_serves_them(tmp_path: Path) -> None:
    assert make_model(ModelKind.LLAMA, tmp_path).path.stat().st_mode & 0o444 == 0o444


LARGE = """
import sys
from pathlib import Path
from builder.server.models.make import make_model
from builder.server.models.shape import ModelKind, Shape
shape = Shape(width=2048, layers=3, heads=32, kv_heads=8, inner=8192, vocabulary=4096)
print(make_model(ModelKind.LLAMA, Path(sys.argv[1]), shape).path.stat().st_size)
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(int(peak.split()[1]) * 1024)
"""
"""The peak is read where it begins anew with the program; getrusage counts that of the process it was forked from."""


def test_a_large_model_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(tmp_path)], capture_output=True, text=True, timeout=300, check=True
    )
    size, peak = map(int, done.stdout.split())
    assert size > 380_000_000
    assert peak < size
