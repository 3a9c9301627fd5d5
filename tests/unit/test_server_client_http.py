"""The client against a real server that answers what it is told to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest

from builder.engine.images import Image
from builder.gates.serving.trial import Trial
from builder.gates.smoke.live import Live
from builder.gates.smoke.pace import Pace
from builder.gates.smoke.users import users
from builder.gates.verdict import Outcome
from builder.profiles import profile
from builder.server.address import Address
from builder.server.answers import Deviation, TooLate
from builder.server.client import Client
from builder.server.load import Crowd, serve_crowd
from builder.server.profile import ServedModel

Answers = Callable[..., Client]
TIMINGS = {"prompt_n": 3, "prompt_ms": 1.0, "predicted_n": 2, "predicted_ms": 2.0}
COMPLETION = {"content": " ab", "tokens_predicted": 2, "tokens_evaluated": 3, "timings": TIMINGS}


@pytest.fixture
def answers() -> Iterator[Answers]:
    """A client of a server that gives one answer to everything."""
    servers: list[ThreadingHTTPServer] = []
    ended = Event()

    def start(
        content: object = b"",
        *,
        status: int = 200,
        length: int | None = None,
        wait: bool = False,
        key: str = "",
        drop: float = 0.0,
        again: bool = False,
    ) -> Client:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if wait:
                    with suppress(OSError):
                        self.rfile.read(1)
                    return
                known = not key or self.headers.get("Authorization") == f"Bearer {key}"
                self.send_response(status if known else 401)
                if not again:
                    self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                with suppress(OSError):
                    while again and not ended.wait(0.01):
                        self.wfile.write(body)
                    for piece in [body] if not drop else [body[at : at + 1] for at in range(len(body))]:
                        sleep(drop)
                        self.wfile.write(piece)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return Client(Address(f"http://127.0.0.1:{server.server_port}", key), timeout=1.0)

    yield start
    ended.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_completion_is_read_and_counted(answers: Answers) -> None:
    with answers(COMPLETION) as client:
        found = client.complete("Once", 2)
        assert client.asked == 1
    assert (found.content, found.tokens_predicted, found.timings.prompt_n) == (" ab", 2, 3)


def test_vectors_come_in_the_order_of_their_texts(answers: Answers) -> None:
    data = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]
    with answers({"data": data}) as client:
        assert client.embed(["a", "b"]) == ((1.0, 0.0), (0.0, 1.0))


@pytest.mark.parametrize("number", [math.nan, math.inf, None, "1"])
def test_a_vector_of_anything_but_numbers_is_a_deviation(answers: Answers, number: object) -> None:
    with (
        answers({"data": [{"index": 0, "embedding": [1.0, number]}]}) as client,
        pytest.raises(Deviation, match="something else than it should"),
    ):
        client.embed(["a"])


def test_an_answer_without_what_it_needs_is_a_deviation(answers: Answers) -> None:
    lacking = {name: value for name, value in COMPLETION.items() if name != "timings"}
    with answers(lacking) as client, pytest.raises(Deviation, match="timings: Field required"):
        client.complete("Once", 2)


def test_an_answer_that_is_cut_is_a_deviation(answers: Answers) -> None:
    with answers(b'{"conte', length=500) as client, pytest.raises(Deviation, match="gave no whole answer"):
        client.complete("Once", 2)


def test_a_status_is_a_deviation_with_its_reason(answers: Answers) -> None:
    with (
        answers({"error": {"message": "This server does not support embeddings."}}, status=501) as client,
        pytest.raises(Deviation, match=r"status 501: This server does not support embeddings\.$"),
    ):
        client.embed(["a"])


def test_a_server_that_does_not_answer_is_a_deviation(answers: Answers) -> None:
    with answers(wait=True) as client:
        with pytest.raises(TooLate, match="did not answer in time"):
            client.slots()
        assert client.health(timeout=0.2) is None


def test_an_answer_that_drips_in_is_late_as_a_whole(answers: Answers) -> None:
    late = pytest.raises(TooLate, match=r"took \d\.\d s to answer, more than 1 s")
    with answers({"slot": 1}, drop=0.15) as client, late:
        client.slots()


@pytest.mark.parametrize("piece", [b"data: {}\n\n", b": still here\n", b"x"])
def test_a_stream_that_never_ends_is_late(answers: Answers, piece: bytes) -> None:
    with answers(piece, again=True) as client, pytest.raises(TooLate, match=r"more than 1 s"):
        client.stream_chat("Once", 2)


def test_an_answer_that_never_ends_is_late_and_no_health(answers: Answers) -> None:
    with answers(b" ", again=True) as client:
        assert client.health(timeout=0.5) is None
        with pytest.raises(TooLate, match=r"more than 1 s"):
            client.slots()


def test_an_answer_larger_than_any_is_given_up(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.server.client._MOST", 1 << 20)
    with answers(b" " * (3 << 20)) as client, pytest.raises(Deviation, match="answered with more than 1 MiB"):
        client.slots()


def test_lines_of_a_stream_come_whole_however_they_are_cut(answers: Answers) -> None:
    choices = [{"delta": {"content": "\u00e9"}, "finish_reason": None}]
    stream = f"data: {json.dumps({'choices': choices}, ensure_ascii=False)}\r\n\r\n" * 2 + "data: [DONE]"
    with answers(stream.encode(), drop=0.001) as client:
        assert client.stream_chat("Once", 2).text == "\u00e9\u00e9"


def test_a_server_with_a_key_is_shown_it(answers: Answers) -> None:
    with answers(COMPLETION, key="hush") as client:
        assert client.complete("Once", 2).content == " ab"
        assert "hush" not in repr(client.address)
        client.address = Address(client.address.url)
        crowd = Crowd(users=1, limit=60, turns=1)
        assert (
            serve_crowd(client.address, crowd).deviations[0].sentence.startswith("A user's request was answered with")
        )


@pytest.mark.parametrize("status", [200, 503, 404])
def test_health_is_a_status(answers: Answers, status: int) -> None:
    with answers({"status": "?"}, status=status) as client:
        assert client.health() == status


def test_where_nobody_listens_there_is_no_health() -> None:
    with Client(Address("http://127.0.0.1:9"), timeout=1.0) as client:
        assert client.health() is None
        with pytest.raises(Deviation, match="/props gave no whole answer"):
            client.properties()


def test_users_get_streams_or_hang_up(answers: Answers) -> None:
    choices = [{"delta": {"content": "x"}, "finish_reason": None}]
    stream = f"data: {json.dumps({'choices': choices})}\n\n" * 4 + "data: [DONE]\n\n"
    with answers(stream.encode()) as client:
        served = serve_crowd(client.address, Crowd(users=6, limit=60, turns=2))
    assert (served.answered, served.hung_up, served.deviations) == (8, 4, ())


def test_users_whose_streams_are_cut_are_deviations(answers: Answers) -> None:
    choices = [{"delta": {"content": "x"}, "finish_reason": None}]
    with answers(f"data: {json.dumps({'choices': choices})}\n\n".encode()) as client:
        served = serve_crowd(client.address, Crowd(users=1, limit=60, turns=2))
    assert served.answered == 0
    assert [one.sentence for one in served.deviations] == [
        "A user's stream ended after 1 pieces without saying so."
    ] * 2


def test_users_who_are_refused_are_deviations(answers: Answers) -> None:
    with answers({"error": {"message": "busy"}}, status=503) as client:
        served = serve_crowd(client.address, Crowd(users=3, limit=60, turns=1, embeddings=True))
    assert {one.sentence for one in served.deviations} == {"A user's request was answered with status 503: busy."}


def test_users_who_want_vectors_hang_up_however_fast_the_server_is(answers: Answers) -> None:
    data = [{"index": 0, "embedding": [1.0, 0.0]}]
    with answers({"data": data}) as client:
        crowd = Crowd(users=6, limit=60, turns=3, embeddings=True)
        served = serve_crowd(client.address, crowd)
    assert (served.answered, served.hung_up, served.deviations) == (12, 6, ())
    assert crowd.to_hang_up == 6


def test_where_nobody_could_hang_up_it_is_not_known_what_comes_of_that(answers: Answers) -> None:
    choices = [{"delta": {"content": "x"}, "finish_reason": "stop"}]
    with answers(f"data: {json.dumps({'choices': choices})}\n\n".encode()) as client:
        finding = users(looked_at(client))
    assert finding.check.outcome is Outcome.UNJUDGED
    assert "Nobody could hang up" in finding.check.detail
    assert finding.measurements["hung_up"] == 0


def looked_at(client: Client) -> Live:
    image = Image("sha256:1", (), (), 1, {}, (), "", "amd64")
    trial = Trial(image, profile("chat", users=3), ServedModel(Path("none"), None), ())
    return Live(trial, None, client, Path("none"), Pace(0.005))  # type: ignore[arg-type]
