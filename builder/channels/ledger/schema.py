"""The ledger's tables, as the steps by which they came to be.

A migration is never edited once a ledger may have it: what changes is a further one.
"""

from __future__ import annotations

Migration = tuple[str, ...]
"""Statements, in order."""

APPLICATION = 0x6C626C67
"""What marks a database as a ledger: `lblg`."""

_DIGEST = "CHECK ({0} GLOB 'sha256:*' AND length({0}) = 71)"

_FIRST: Migration = (
    "CREATE TABLE identity (only INTEGER PRIMARY KEY CHECK (only = 1), ledger TEXT NOT NULL) STRICT",
    "CREATE TABLE revisions (commit_id TEXT PRIMARY KEY, number INTEGER, committed TEXT) STRICT",
    f"CREATE TABLE images (config TEXT PRIMARY KEY {_DIGEST.format('config')}, labels TEXT) STRICT",
    f"""CREATE TABLE digests (
        digest TEXT PRIMARY KEY {_DIGEST.format("digest")},
        kind TEXT CHECK (kind IN ('config', 'manifest', 'index')),
        image TEXT REFERENCES images,
        CHECK ((kind IS NULL) = (image IS NULL))
    ) STRICT""",
    "CREATE INDEX digests_of_image ON digests (image)",
    """CREATE TABLE image_names (
        reference TEXT NOT NULL, image TEXT NOT NULL REFERENCES images, PRIMARY KEY (reference, image)
    ) STRICT""",
    """CREATE TABLE builds (
        id TEXT PRIMARY KEY, plan TEXT NOT NULL, image TEXT NOT NULL REFERENCES digests,
        commit_id TEXT REFERENCES revisions, at TEXT NOT NULL, machine TEXT NOT NULL, document TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE verdicts (
        id TEXT PRIMARY KEY, digest TEXT NOT NULL REFERENCES digests, gate TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('pass', 'fail', 'could not judge')),
        at TEXT NOT NULL, machine TEXT NOT NULL, document TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX verdicts_of_digest ON verdicts (digest, gate, at)",
    """CREATE TABLE verdict_gpus (
        verdict TEXT NOT NULL REFERENCES verdicts, position INTEGER NOT NULL,
        uuid TEXT NOT NULL, name TEXT NOT NULL, driver TEXT NOT NULL, PRIMARY KEY (verdict, position)
    ) STRICT""",
    """CREATE TABLE benchmarks (
        id TEXT PRIMARY KEY, digest TEXT NOT NULL REFERENCES digests, file TEXT NOT NULL, content TEXT NOT NULL,
        at TEXT NOT NULL, machine TEXT NOT NULL, document TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX benchmarks_of_digest ON benchmarks (digest, at)",
    """CREATE TABLE promotions (
        id TEXT PRIMARY KEY, ledger TEXT NOT NULL, action TEXT NOT NULL CHECK (action IN ('promote', 'rollback')),
        repository TEXT NOT NULL, channel TEXT NOT NULL, variant TEXT NOT NULL,
        before TEXT REFERENCES digests, after TEXT NOT NULL REFERENCES digests,
        who TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL, forced TEXT,
        turned TEXT, ended TEXT, result TEXT CHECK (result IN ('done', 'undone')),
        CHECK ((ended IS NULL) = (result IS NULL))
    ) STRICT""",
    # In one ledger at most one promotion of the same images is under way.
    "CREATE UNIQUE INDEX promotions_under_way ON promotions (ledger, repository, variant) WHERE result IS NULL",
    "CREATE INDEX promotions_in_order ON promotions (repository, channel, variant, at)",
    """CREATE TABLE steps (
        promotion TEXT NOT NULL REFERENCES promotions, position INTEGER NOT NULL,
        place TEXT NOT NULL, subject TEXT NOT NULL, before TEXT, after TEXT,
        begun TEXT, done TEXT, undone TEXT, PRIMARY KEY (promotion, position),
        CHECK (done IS NULL OR begun IS NOT NULL)
    ) STRICT""",
    """CREATE TABLE holds (
        id TEXT PRIMARY KEY, digest TEXT NOT NULL REFERENCES digests, reason TEXT NOT NULL, who TEXT NOT NULL,
        at TEXT NOT NULL, lifted TEXT, lifted_by TEXT, CHECK ((lifted IS NULL) = (lifted_by IS NULL))
    ) STRICT""",
    "CREATE INDEX holds_of_digest ON holds (digest)",
)

_SECOND: Migration = (
    "ALTER TABLE promotions ADD COLUMN overruled TEXT",
    """ALTER TABLE promotions ADD COLUMN overruled_by TEXT
        CHECK ((overruled IS NULL) = (overruled_by IS NULL))""",
    "ALTER TABLE steps ADD COLUMN owed TEXT",
    "CREATE INDEX steps_of_subject ON steps (place, subject)",
    "CREATE INDEX steps_owed ON steps (promotion) WHERE owed IS NOT NULL",
    "DROP INDEX promotions_in_order",
    # In one ledger promotions come one after the other: their rows are in order, whatever a clock said.
    "CREATE INDEX promotions_of_channel ON promotions (ledger, repository, channel, variant) WHERE result = 'done'",
    "CREATE INDEX promotions_of_image ON promotions (after)",
)

MIGRATIONS: tuple[Migration, ...] = (_FIRST, _SECOND)
"""What makes version N of version N - 1, for every N from 1."""
