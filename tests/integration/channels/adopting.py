"""A machine with an engine, a registry and a Compose stack that adopts, and what names what there.

Engine, registry and files are asked without the program: what it says of them is what is looked at.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import httpx

from builder.channels.ledger.moves import PromotionEntry
from builder.engine.client import Engine
from builder.process import Runner
from tests.integration.channels.promotion_labs import Lab, promotion_lab
from tests.integration.channels.registry_labs import Lab as RegistryLab
from tests.integration.channels.registry_labs import registry

REPOSITORY = "ai/llama"
OURS = "# ours\nMODEL=a.gguf\n"
"""What is in the env file beside what the program writes."""
FILES = {"env-file": ".env", "compose-file": "pinned.yaml", "services": ["chat"]}
MEDIA = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_LOOKS, _BETWEEN = 20, 0.1
_PINNED = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Named:
    """What names what: images by what the engine calls them, those of the registry by their manifests' digests.

    Attributes:
        files: the digests that the adoption files pin, by their names.
    """

    adopted: str | None
    previous: str | None
    there: str | None
    previous_there: str | None
    files: Mapping[str, str]


@dataclass
class Machine:
    """A machine that adopts.

    Attributes:
        images: own tags' whole names of images that may be promoted.
        digests: their manifests' digests in the registry, by the engine's IDs.
    """

    lab: Lab
    registry: RegistryLab
    images: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def add(self, number: int) -> str:
        """An image that was judged, and is in the registry under a name that is nothing to promotions."""
        reference = self.lab.judged(number)
        there = f"{self.registry.host}/{REPOSITORY}:kept-for-the-test-{number}"
        self.lab.engine.tag(reference, there)
        done = self.lab.engine.push(there, timeout=120)
        assert done.returncode == 0, done.stderr
        self.ids[reference] = image = self.lab.id(reference)
        digest = self.manifest_of(f"kept-for-the-test-{number}")
        assert digest
        self.digests[image] = digest
        self.images.append(reference)
        return reference

    def promoted_by(self, host: str) -> None:
        """Promote by way of another address of the registry from here on."""
        self.lab.settings = {**self.lab.settings, "registry": {"repository": f"{host}/{REPOSITORY}"}}
        self.lab.configure()

    def named(self) -> Named:
        """What names what now."""
        name = self.lab.repository
        here = [self.image_of(f"{name}:{tag}") for tag in ("latest", "previous")]
        there = [self.manifest_of(tag) for tag in ("latest", "previous")]
        files = {str(file): self._pinned(file) for file in ("env-file", "compose-file")}
        return Named(here[0], here[1], there[0], there[1], {name: pin for name, pin in files.items() if pin})

    def image_of(self, reference: str) -> str | None:
        """What the engine calls the image under a name; None for none."""
        answer = self._engine.get(f"/images/{quote(reference, safe='')}/json")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return str(answer.json()["Id"])

    def manifest_of(self, tag: str) -> str | None:
        """The digest of the bytes that the registry gives for a tag, all of whose blobs it has; None for none."""
        content = self.content_of(tag)
        return f"sha256:{hashlib.sha256(content).hexdigest()}" if content is not None else None

    def content_of(self, reference: str) -> bytes | None:
        """The bytes that the registry gives for a tag or a digest; None for none.

        Debian's registry answers 500 for a tag that is being moved at that very moment.
        """
        for _ in range(_LOOKS):
            answer = self._there.get(f"/manifests/{reference}", headers={"Accept": ", ".join(MEDIA)})
            if not answer.is_server_error:
                break
            time.sleep(_BETWEEN)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return answer.content

    def is_whole(self, digest: str) -> bool:
        """Whether the registry has a manifest and all its blobs."""
        content = self.content_of(digest)
        blobs = set(_PINNED.findall(content.decode())) if content else set()
        heads = (self._there.head(f"/blobs/{blob}") for blob in blobs)
        return content is not None and all(head.status_code == httpx.codes.OK for head in heads)

    def put(self, tag: str, digest: str) -> None:
        """Move a tag of the registry by hand."""
        answer = self._there.get(f"/manifests/{digest}", headers={"Accept": ", ".join(MEDIA)})
        answer.raise_for_status()
        kind = {"Content-Type": answer.headers["Content-Type"]}
        self._there.put(f"/manifests/{tag}", content=answer.content, headers=kind).raise_for_status()

    def last(self) -> PromotionEntry | None:
        """What the ledger says is adopted; the file is read as a whole first."""
        with self.lab.ledger() as ledger:
            ledger.verify()
            entry: PromotionEntry | None = ledger.promotions.adopted(self.lab.repository, "latest", "")
            return entry

    def under_way(self) -> tuple[PromotionEntry, ...]:
        """What the ledger says stands in the middle."""
        with self.lab.ledger() as ledger:
            entries: tuple[PromotionEntry, ...] = ledger.promotions.under_way()
            return entries

    def held(self) -> set[str]:
        """Which images are held."""
        with self.lab.ledger() as ledger:
            return {hold.digest for hold in ledger.holds.all() if not hold.lifted}

    def lift_all(self) -> None:
        """Let every image be promoted again."""
        with self.lab.ledger() as ledger:
            for hold in ledger.holds.all():
                if not hold.lifted:
                    ledger.holds.lift(hold.id, "lab", datetime.now(UTC))

    def is_settled_on(self, image: str) -> bool:
        """See that engine, registry, files and ledger all adopt an image, and nothing is left of the way to that."""
        named, last, digest = self.named(), self.last(), self.digests[image]
        assert (named.adopted, named.there, set(named.files.values())) == (image, digest, {digest}), named
        assert len(named.files) == len(FILES) - 1
        assert last
        assert last.after == image
        assert self.under_way() == ()
        assert list(self.lab.folder.glob("**/.new-*")) == []
        return True

    def _pinned(self, setting: str) -> str | None:
        file = self.lab.folder / str(FILES[setting])
        if not file.exists():
            return None
        text = file.read_text(encoding="utf-8")
        assert setting != "env-file" or text.startswith(OURS), text
        pins = _PINNED.findall(text)
        assert pins or setting == "env-file", text
        return pins[0] if pins else None

    @cached_property
    def _engine(self) -> httpx.Client:
        socket = self.lab.engine.endpoint.removeprefix("unix://")
        return httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://engine", trust_env=False)

    @cached_property
    def _there(self) -> httpx.Client:
        return httpx.Client(base_url=f"{self.registry.address}/v2/{REPOSITORY}", trust_env=False, timeout=30)

    def close(self) -> None:
        """Let go of engine and registry, and remove the images."""
        for image in self.ids.values():
            self.lab.engine.ask("image", "rm", "--force", image)
        self._engine.close()
        self._there.close()


@contextmanager
def machine(engine: Engine, runner: Runner, folder: Path, numbers: range) -> Iterator[Machine]:
    """A machine with a registry and images that were judged; it adopts none yet."""
    (folder / ".env").write_text(OURS, encoding="utf-8")
    with registry(folder, kept=True) as running:
        settings = {"registry": {"repository": f"{running.host}/{REPOSITORY}"}, "adoption": FILES}
        with promotion_lab(engine, runner, folder, settings) as lab:
            made = Machine(lab, running)
            try:
                lab.configure()
                for number in numbers:
                    made.add(number)
                yield made
            finally:
                made.close()
