"""The ledger's pages on revisions, builds, and images by all their digests."""

from __future__ import annotations

import json
from typing import Any, Literal

from builder.channels.ledger.database import Database
from builder.channels.ledger.evidence import BuildEntry, ImageEntry, RevisionEntry
from builder.channels.ledger.values import canonical, moment_of, short, spell

Kind = Literal["config", "manifest", "index"]


class Images:
    """Revisions, builds and images.

    What is recorded twice is there once. Every method that records raises Contradiction for what cannot be true beside
    what the ledger knows, and LedgerError where the ledger cannot be written to.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_revision(self, entry: RevisionEntry) -> None:
        """Keep what is known of a commit."""
        facts = {"number": entry.number, "committed": spell(entry.committed) if entry.committed else None}
        self._database.put(
            "revisions",
            {"commit_id": entry.commit},
            facts,
            name=f"The revision {entry.commit[:9]}",
            fill=tuple(facts),
        )

    def record_build(self, entry: BuildEntry) -> None:
        """Keep a build; its revision is recorded already."""
        facts = {
            "plan": entry.plan,
            "image": entry.image,
            "commit_id": entry.commit,
            "at": spell(entry.at),
            "machine": entry.machine,
            "document": canonical(entry.document).decode(),
        }
        with self._database.writing():
            self.mention(entry.image)
            self._database.put("builds", {"id": entry.id}, facts, name=f"The build {short(entry.id)}")

    def record(self, entry: ImageEntry) -> None:
        """Keep which digests and names are one image's; what was known before stays."""
        labels = None if entry.labels is None else canonical(entry.labels).decode()
        with self._database.writing():
            self._database.put(
                "images",
                {"config": entry.config},
                {"labels": labels},
                name=f"The image {short(entry.config)}",
                fill=("labels",),
            )
            self._own("config", entry.config, entry.config)
            for digest in entry.manifests:
                self._own("manifest", digest, entry.config)
            for digest in entry.indexes:
                self._own("index", digest, entry.config)
            for reference in entry.references:
                name = {"reference": reference, "image": entry.config}
                self._database.put("image_names", name, {}, name=f"The name {reference}")

    def mention(self, digest: str) -> None:
        """Keep a digest of which it is not known yet whose it is."""
        self._database.run("INSERT INTO digests (digest) VALUES (?) ON CONFLICT DO NOTHING", digest)

    def same(self, digest: str) -> tuple[str, ...]:
        """All digests of the image that has this one, itself among them."""
        rows = self._database.ask(
            "SELECT ? AS digest UNION SELECT digest FROM digests"
            " WHERE image = (SELECT image FROM digests WHERE digest = ?) ORDER BY 1",
            digest,
            digest,
        )
        return tuple(str(row["digest"]) for row in rows)

    def find(self, digest: str) -> ImageEntry | None:
        """The image that has a digest; None where the ledger knows none."""
        with self._database.reading():
            rows = self._database.ask("SELECT image FROM digests WHERE digest = ? AND image IS NOT NULL", digest)
            return self._image(str(rows[0]["image"])) if rows else None

    def all(self) -> tuple[ImageEntry, ...]:
        """Every image, in order of their digests."""
        with self._database.reading():
            rows = self._database.ask("SELECT config FROM images ORDER BY config")
            return tuple(self._image(str(row["config"])) for row in rows)

    def named(self, reference: str) -> tuple[ImageEntry, ...]:
        """The images that were ever given a name."""
        with self._database.reading():
            rows = self._database.ask("SELECT image FROM image_names WHERE reference = ? ORDER BY 1", reference)
            return tuple(self._image(str(row["image"])) for row in rows)

    def revisions(self) -> tuple[RevisionEntry, ...]:
        """Every revision, in order of their commits."""
        return tuple(_revision(row) for row in self._database.ask("SELECT * FROM revisions ORDER BY commit_id"))

    def builds(self, image: str | None = None) -> tuple[BuildEntry, ...]:
        """Builds, newest first.

        Args:
            image: only those that gave the image with this digest.
        """
        order = "ORDER BY at DESC, id"
        if image is None:
            return tuple(_build(row) for row in self._database.ask(f"SELECT * FROM builds {order}"))
        with self._database.reading():
            digests = self.same(image)
            marks = ", ".join("?" * len(digests))
            rows = self._database.ask(f"SELECT * FROM builds WHERE image IN ({marks}) {order}", *digests)
            return tuple(_build(row) for row in rows)

    def _own(self, kind: Kind, digest: str, image: str) -> None:
        self._database.put(
            "digests",
            {"digest": digest},
            {"kind": kind, "image": image},
            name=f"The digest {short(digest)}",
            fill=("kind", "image"),
        )

    def _image(self, config: str) -> ImageEntry:
        row = self._database.ask("SELECT labels FROM images WHERE config = ?", config)[0]
        digests = self._database.ask("SELECT digest, kind FROM digests WHERE image = ? ORDER BY digest", config)
        names = self._database.ask("SELECT reference FROM image_names WHERE image = ? ORDER BY 1", config)
        by_kind = {
            kind: tuple(str(row["digest"]) for row in digests if row["kind"] == kind) for kind in ("manifest", "index")
        }
        return ImageEntry(
            config,
            by_kind["manifest"],
            by_kind["index"],
            tuple(str(row["reference"]) for row in names),
            None if row["labels"] is None else json.loads(str(row["labels"])),
        )


def _revision(row: dict[str, Any]) -> RevisionEntry:
    return RevisionEntry(row["commit_id"], row["number"], moment_of(row["committed"]) if row["committed"] else None)


def _build(row: dict[str, Any]) -> BuildEntry:
    return BuildEntry(
        row["plan"],
        row["image"],
        row["commit_id"],
        moment_of(row["at"]),
        row["machine"],
        json.loads(row["document"]),
    )
