"""A registry that fails or lies at any request of a promotion: nothing wrong is adopted, and what stands is told."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import httpx
import pytest

from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels import faulty_proxy as wrong
from tests.integration.channels.adopting import REPOSITORY, Machine, Named, machine
from tests.integration.channels.faulty_proxy import Answer, Change, Fault, Proxy, faulty
from tests.integration.channels.steered import Ended, Run, Steered, steered

FAULTS = int(os.environ.get("TEST_FAULTS", "26"))
DONE, REFUSED, PARTLY = int(ExitCode.DONE), int(ExitCode.NOTHING_MOVED), int(ExitCode.MOVED_PARTLY)
ENDLESS = 1_000_000
OTHER = f"sha256:{'5' * 64}"
_GOLDEN = 0.6180339887
"""The part of all requests by which the next fault is further on: so they are spread evenly."""


@dataclass(frozen=True)
class Kind:
    """One way to fail.

    Attributes:
        before: the registry never hears of the request.
        lies: what it says of its tags cannot be known to be wrong.
    """

    name: str
    change: Change
    before: bool = True
    lies: bool = False


@dataclass
class Place:
    """A machine that adopts something already, before a registry that fails on demand.

    Attributes:
        stranger: the digest of an image that is in the registry and was never promoted.
        ends: how often runs ended how.
    """

    made: Machine
    proxy: Proxy
    driver: Steered
    stranger: str
    ends: Counter[str] = field(default_factory=Counter)

    def start(self, *words: str, stop: dict[str, object] | None = None) -> Run:
        lab = self.made.lab
        return self.driver.start(words, lab.folder, lab.environment(), stop)

    def run(self, *words: str, status: int = DONE) -> Ended:
        """A run to its end, which has to be as it should."""
        ended = self.start(*words).end()
        assert ended.status == status, ended
        return ended

    def next_image(self) -> str:
        """One that is neither adopted nor was it right before."""
        named = self.made.named()
        return next(one for one in self.made.images if self.made.ids[one] not in (named.adopted, named.previous))

    def requests(self) -> list[str]:
        """All that a promotion asks of the registry."""
        self.proxy.seen.clear()
        self.run("promote", self.next_image())
        return list(self.proxy.seen)


@pytest.fixture(scope="module")
def place(engine: Engine, runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("machine")
    with (
        machine(engine, runner, folder, range(10001, 10005)) as made,
        faulty(made.registry.host) as proxy,
        steered(tmp_path_factory.mktemp("runs")) as driver,
    ):
        made.promoted_by(proxy.host)
        place = Place(made, proxy, driver, made.digests[made.ids[made.images.pop()]])
        for _ in range(2):
            place.run("promote", place.next_image())
        yield place


def test_whatever_it_fails_at_nothing_wrong_is_adopted_and_what_stands_is_told(place: Place) -> None:
    requests, kinds = len(place.requests()), kinds_of(place)
    for number in range(FAULTS):
        kind, spared = kinds[number % len(kinds)], int(requests * (number * _GOLDEN % 1))
        times = 1 if number // len(kinds) % 2 else ENDLESS
        sys.stderr.write(f"{number}: {kind.name} at request {spared} of {requests}, {times} times\n")
        image, before = place.next_image(), place.made.named()
        place.proxy.faults[:] = [Fault("", kind.change, times, kind.before, spared=spared)]
        ended = place.start("promote", image, "--json").end()
        place.proxy.faults.clear()
        place.ends[f"{kind.name}: {ended.status}"] += 1
        look(place, before, image, ended, kind)
        see_to_it(place, before, image, ended, number)
    sys.stderr.write("".join(f"{count:4}  {what}\n" for what, count in sorted(place.ends.items())))
    ways = {int(what.rpartition(" ")[2]) for what in place.ends}
    assert {REFUSED, PARTLY} <= ways <= {DONE, REFUSED, PARTLY}


def kinds_of(place: Place) -> list[Kind]:
    """All ways to fail."""
    stranger = place.made.content_of(place.stranger)
    assert stranger
    kind = json.loads(stranger)["mediaType"]
    manifest = wrong.exchange(stranger, Content_Type=kind, Docker_Content_Digest=place.stranger)
    return [
        Kind("no answer", wrong.drop),
        Kind("500", wrong.refuse(500)),
        Kind("done without an answer", wrong.drop, before=False),
        Kind("401", wrong.refuse(401)),
        Kind("half an answer", wrong.cut, before=False),
        Kind("another digest", wrong.say(Docker_Content_Digest=OTHER), before=False),
        Kind("another manifest", on_manifests(manifest), before=False, lies=True),
        Kind("404 of no registry", wrong.refuse(404)),
        Kind("shortened", wrong.shorten, before=False),
        Kind("yes to everything", wrong.refuse(201)),
        Kind("nothing there", unknown, lies=True),
        Kind("done and told 500", wrong.refuse(500), before=False),
        Kind("too many", wrong.refuse(429, Retry_After="0")),
    ]


def on_manifests(change: Change) -> Change:
    """A change of answers that are manifests."""
    return lambda answer: change(answer) if "manifest" in answer.headers.get("Content-Type", "") else answer


def unknown(_: Answer) -> Answer:
    """A registry's own words for what it does not have."""
    body = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown", "detail": {}}]})
    return Answer(404, {"Content-Type": "application/json"}, body.encode())


def look(place: Place, before: Named, image: str, ended: Ended, kind: Kind) -> None:
    """See that what is adopted is old or new, and as it is said to be."""
    made, now = place.made, place.made.named()
    old, new = str(before.adopted), made.ids[image]
    assert now.adopted in (old, new)
    assert now.there in (before.there, made.digests[new])
    assert set(now.files.values()) <= {before.there, made.digests[new]}
    assert all(made.is_whole(str(digest)) for digest in (now.there, now.previous_there))
    if ended.status == DONE:
        assert made.is_settled_on(new)
    elif ended.status == REFUSED:
        assert now == before, ended
        assert not any(step.begun and not step.undone for entry in made.under_way() for step in entry.steps)
    else:
        assert ended.status == PARTLY, ended
        require_told(place, now, json.loads(ended.stdout)["error"], kind)


def require_told(place: Place, now: Named, error: dict[str, object], kind: Kind) -> None:
    """See that an error says what stands; what the registry lied about it cannot know."""
    there = f"registry {place.proxy.host}/{REPOSITORY}"
    names = {
        f"engine {place.made.lab.repository}:latest": now.adopted,
        f"engine {place.made.lab.repository}:previous": now.previous,
        f"{there}:latest": now.there,
        f"{there}:previous": now.previous_there,
    }
    lines = [str(line) for line in error["excerpt"]]  # type: ignore[attr-defined]
    for subject, digest in names.items():
        (line,) = [line for line in lines if line.startswith(f"{subject}: ")]
        unsure = "not known" in line or kind.lies
        assert line.startswith(f"{subject}: {str(digest)[:19]}") or (subject.startswith(there) and unsure), line
    assert "builder promote --resume" in str(error["remedy"])
    assert "builder promote --undo" in str(error["remedy"])


def see_to_it(place: Place, before: Named, image: str, ended: Ended, number: int) -> None:
    """With a registry that is well again, see that the next run ends it."""
    if ended.status == DONE:
        return
    old, new = str(before.adopted), place.made.ids[image]
    left = place.made.under_way()
    match number % 3:
        case 0:
            place.run("promote", image)
            wanted = new
        case 1:
            turned = bool(left and left[0].turned)
            place.run("promote", "--resume", status=REFUSED if turned else DONE)
            wanted = new if left and not turned else old
        case _:
            place.run("promote", "--undo")
            wanted = old
    assert place.made.is_settled_on(wanted)


@pytest.mark.parametrize("nth", [1, 8, 12])
def test_a_tag_that_somebody_else_moves_meanwhile_is_left_to_them_and_the_rest_is_taken_back(
    place: Place, nth: int
) -> None:
    made, before, image = place.made, place.made.named(), place.next_image()
    ended = moved_at(place, image, nth)
    assert ended.status == REFUSED, ended
    assert f"Somebody else moved {place.proxy.host}/{REPOSITORY}:latest" in ended.stderr
    assert made.named() == replace(before, there=place.stranger)
    assert made.under_way() == ()
    assert "Somebody else moved" in place.run("promote", image, status=REFUSED).stderr
    place.run("promote", image, "--accept-moved")
    assert made.is_settled_on(made.ids[image])


def test_a_tag_that_somebody_else_moves_after_us_is_told_and_put_back_only_when_forced(place: Place) -> None:
    made, before, image = place.made, place.made.named(), place.next_image()
    ended = moved_at(place, image, 14)
    assert ended.status == PARTLY, ended
    assert "moved by somebody else: registry" in ended.stderr
    assert made.named() == replace(before, there=place.stranger)
    for words in (("promote", image), ("promote", "--undo"), ("promote", "--resume")):
        assert "--undo --force REASON" in place.run(*words, status=PARTLY).stderr
    assert made.named() == replace(before, there=place.stranger)
    place.run("promote", "--undo", "--force", "it was an accident")
    assert made.named() == before
    assert made.is_settled_on(str(before.adopted))


def test_a_blob_that_the_registry_forgets_meanwhile_is_not_adopted(place: Place) -> None:
    made, before, image = place.made, place.made.named(), place.next_image()
    run = place.start("promote", image, stop={**MARK, "nth": 12})
    assert run.stops()
    digest = made.digests[made.ids[image]]
    forget(place, json.loads(made.content_of(digest) or b"")["layers"][0]["digest"])
    assert not made.is_whole(digest)
    run.go_on()
    ended = run.end()
    assert ended.status == REFUSED
    assert "has lost 1 parts" in ended.stderr
    assert made.named() == before
    place.run("promote", image)
    assert made.is_whole(digest)
    assert made.is_settled_on(made.ids[image])


def test_a_push_that_is_cut_in_the_middle_leaves_the_tags_as_they_were(place: Place) -> None:
    made, before, reference = place.made, place.made.named(), place.made.lab.judged(10005)
    made.ids[reference] = made.lab.id(reference)
    place.proxy.seen.clear()
    place.proxy.faults[:] = [Fault("^(PATCH|PUT) .*/blobs/uploads/", lambda answer: answer, before=False, wait=2)]
    run = place.start("promote", reference)
    deadline = time.monotonic() + 60
    while not any("/blobs/uploads/" in asked for asked in place.proxy.seen):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert any("push" in words for words in run.kill(with_all=True))
    place.proxy.faults.clear()
    assert made.named() == before
    place.run("promote", reference)
    own = made.manifest_of(reference.rpartition(":")[2])
    assert own
    made.digests[made.ids[reference]] = own
    assert made.is_settled_on(made.ids[reference])


MARK = {"file": "promotions.py", "function": "mark", "kind": "return"}
"""Each move is marked twice: when it is begun, and when it is done."""


def moved_at(place: Place, image: str, nth: int) -> Ended:
    """Promote an image; somebody else moves the adopted tag of the registry at the nth mark."""
    run = place.start("promote", image, stop={**MARK, "nth": nth})
    assert run.stops()
    place.made.put("latest", place.stranger)
    run.go_on()
    return run.end()


def forget(place: Place, blob: str) -> None:
    """Have the registry lose a blob."""
    url = f"{place.made.registry.address}/v2/{REPOSITORY}/blobs/{blob}"
    assert httpx.delete(url, trust_env=False).status_code == httpx.codes.ACCEPTED
