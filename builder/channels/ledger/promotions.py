"""The ledger's pages on promotions: planned as a whole, then each move before and after it is made.

A move is written down as begun before anything outside the ledger changes, and as done once it was seen to be. What a
killed process left is found by `under_way`: a step that is begun may or may not have been made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from builder.channels.ledger.database import Database
from builder.channels.ledger.faults import Contradiction, LedgerError
from builder.channels.ledger.images import Images
from builder.channels.ledger.moves import PromotionEntry, Result, Step
from builder.channels.ledger.values import moment_of, spell

Mark = Literal["begun", "done", "undone", "owed"]
_TURNED = "EXISTS (SELECT 1 FROM promotions WHERE id = steps.promotion AND turned IS NOT NULL)"
_MAY: dict[Mark, str] = {
    "begun": f"undone IS NULL AND done IS NULL AND NOT {_TURNED}",
    "done": "undone IS NULL AND begun IS NOT NULL",
    "undone": "begun IS NOT NULL",
    "owed": "undone IS NULL",
}
"""What a step must be so that it can come that far; to say the same again is no error."""


class Promotions:
    """Promotions and rollbacks with their steps."""

    def __init__(self, database: Database, images: Images, ledger: str) -> None:
        self._database = database
        self._images = images
        self._ledger = ledger

    def plan(self, entry: PromotionEntry) -> None:
        """Keep all moves before the first is made.

        Raises:
            LedgerError: another promotion of these images is under way, or the ledger cannot be written to.
        """
        if entry.ledger != self._ledger or entry.result or any(step.begun for step in entry.steps):
            raise ValueError("only a promotion of this ledger that has not begun can be planned")
        with self._database.writing():
            if others := self.under_way(entry.repository, entry.variant):
                other = others[0]
                raise LedgerError(
                    f"A {other.action} of {other.repository}:{other.channel} by {other.who} is under way since"
                    f" {spell(other.at)}.",
                    "Finish or undo it first.",
                )
            self.merge(entry)

    def mark(self, promotion: str, position: int, mark: Mark, at: datetime) -> None:
        """Keep that a step was begun, done, is as before again, or was put off; the first time of each is kept.

        Raises:
            LedgerError: the promotion has ended, the step cannot come to that from where it is, or the ledger cannot
                be written to.
        """
        changed = self._database.run(
            f"UPDATE steps SET {mark} = coalesce({mark}, ?) WHERE promotion = ? AND position = ? AND {_MAY[mark]}"
            " AND EXISTS (SELECT 1 FROM promotions WHERE id = steps.promotion AND result IS NULL)",
            spell(at),
            promotion,
            position,
        )
        if not changed:
            raise LedgerError(
                f"Step {position + 1} of the promotion {promotion[:9]} cannot be {mark}: another process was at it.",
                "Look at its history, and try again.",
            )

    def turn(self, promotion: str, at: datetime) -> None:
        """Keep the decision that a promotion is undone from here on, whoever goes on with it.

        Raises:
            LedgerError: it has ended, or the ledger cannot be written to.
        """
        changed = self._database.run(
            "UPDATE promotions SET turned = coalesce(turned, ?) WHERE id = ? AND result IS NULL", spell(at), promotion
        )
        if not changed:
            raise _ended(promotion)

    def overrule(self, promotion: str, who: str, why: str) -> None:
        """Keep who finishes or undoes a promotion by force, and why; the last one counts.

        Raises:
            LedgerError: it has ended, or the ledger cannot be written to.
        """
        changed = self._database.run(
            "UPDATE promotions SET overruled = ?, overruled_by = ? WHERE id = ? AND result IS NULL", why, who, promotion
        )
        if not changed:
            raise _ended(promotion)

    def make_up(self, promotion: str, position: int, at: datetime) -> None:
        """Keep that a step which was put off is as its promotion ended.

        Raises:
            LedgerError: it was not put off, its promotion has not ended, or the ledger cannot be written to.
        """
        changed = self._database.run(
            "UPDATE steps SET begun = coalesce(begun, ?1),"
            " done = CASE result WHEN 'done' THEN coalesce(done, ?1) ELSE done END,"
            " undone = CASE result WHEN 'undone' THEN coalesce(undone, ?1) ELSE undone END"
            " FROM promotions WHERE id = promotion AND promotion = ?2 AND position = ?3"
            " AND owed IS NOT NULL AND result IS NOT NULL",
            spell(at),
            promotion,
            position,
        )
        if not changed:
            raise LedgerError(
                f"Step {position + 1} of the promotion {promotion[:9]} was not put off.", "Look at its history."
            )

    def end(self, promotion: str, result: Result, at: datetime) -> None:
        """Keep that a promotion is whole, or that everything is as before, but for what was put off.

        Raises:
            LedgerError: some step is not so, it has ended already, or the ledger cannot be written to.
        """
        left = {
            "done": "(done IS NULL AND owed IS NULL) OR undone IS NOT NULL OR promotions.turned IS NOT NULL",
            "undone": "begun IS NOT NULL AND undone IS NULL AND owed IS NULL",
        }[result]
        changed = self._database.run(
            "UPDATE promotions SET result = ?, ended = ? WHERE id = ? AND result IS NULL"
            f" AND NOT EXISTS (SELECT 1 FROM steps WHERE promotion = promotions.id AND ({left}))",
            result,
            spell(at),
            promotion,
        )
        if not changed:
            raise _ended(promotion)

    def find(self, promotion: str) -> PromotionEntry | None:
        """One promotion; None where the ledger has none of that name."""
        return next(iter(self._select("WHERE id = ?", promotion)), None)

    def under_way(self, repository: str | None = None, variant: str | None = None) -> tuple[PromotionEntry, ...]:
        """What was planned in this ledger and has not ended, oldest first.

        Args:
            repository: only of these images.
            variant: only of this variant.
        """
        return self._select(
            "WHERE ledger = ?1 AND result IS NULL AND repository = coalesce(?2, repository)"
            " AND variant = coalesce(?3, variant) ORDER BY rowid",
            self._ledger,
            repository,
            variant,
        )

    def owing(self) -> tuple[PromotionEntry, ...]:
        """What has ended in this ledger with steps that were put off and are not made up for, oldest first."""
        found = self._select(
            "WHERE ledger = ? AND result IS NOT NULL"
            " AND id IN (SELECT promotion FROM steps WHERE owed IS NOT NULL) ORDER BY rowid",
            self._ledger,
        )
        return tuple(entry for entry in found if entry.owing)

    def adopted(self, repository: str, channel: str, variant: str) -> PromotionEntry | None:
        """The last promotion of a channel in this ledger that is whole; what the channel names is its `after`."""
        found = self._select(
            "WHERE ledger = ? AND repository = ? AND channel = ? AND variant = ? AND result = 'done'"
            " ORDER BY rowid DESC LIMIT 1",
            self._ledger,
            repository,
            channel,
            variant,
        )
        return found[0] if found else None

    def history(self, repository: str | None = None, *, limit: int = -1) -> tuple[PromotionEntry, ...]:
        """Promotions of all ledgers that were brought in here, newest first.

        Args:
            repository: only of these images.
            limit: at most so many; -1 is all.
        """
        where = "WHERE repository = coalesce(?1, repository) ORDER BY at DESC, rowid DESC LIMIT ?2"
        return self._select(where, repository, limit)

    def in_order(self) -> tuple[PromotionEntry, ...]:
        """All promotions; those of one ledger in the order in which they were made, whatever a clock said."""
        return self._select("ORDER BY rowid")

    def last_of(self, place: str, subject: str, *, anywhere: bool) -> PromotionEntry | None:
        """The last promotion that is whole and moved a subject.

        Those of one ledger are in order; between ledgers, which have a clock each, the one that ended last counts.

        Args:
            anywhere: also those that were brought in from other ledgers.
        """
        rows = self._database.ask("SELECT DISTINCT ledger FROM promotions") if anywhere else [{"ledger": self._ledger}]
        found = [
            entry
            for row in rows
            for entry in self._select(
                "WHERE id = (SELECT promotion FROM steps JOIN promotions ON id = promotion"
                " WHERE place = ? AND subject = ? AND ledger = ? AND result = 'done'"
                " ORDER BY steps.rowid DESC LIMIT 1)",
                place,
                subject,
                str(row["ledger"]),
            )
        ]
        return max(found, key=lambda entry: entry.ended or entry.at, default=None)

    def subjects(self) -> tuple[tuple[str, str], ...]:
        """Every place and subject that any promotion moved."""
        rows = self._database.ask("SELECT DISTINCT place, subject FROM steps ORDER BY place, subject")
        return tuple((str(row["place"]), str(row["subject"])) for row in rows)

    def adoptions(self, digests: Sequence[str]) -> tuple[PromotionEntry, ...]:
        """What is whole and let a channel name an image, in the order in which it was made.

        Args:
            digests: all under which the image is known.
        """
        marks = ", ".join("?" * len(digests))
        return self._select(f"WHERE result = 'done' AND after IN ({marks}) ORDER BY rowid", *digests)

    def found_first(self, digests: Sequence[str]) -> bool:
        """Whether an image was what the first promotion of a channel found there: adopted before there was a ledger.

        Args:
            digests: all under which it is known.
        """
        marks = ", ".join("?" * len(digests))
        rows = self._database.ask(
            f"SELECT 1 FROM promotions WHERE before IN ({marks}) AND before <> after AND rowid IN (SELECT min(rowid)"
            " FROM promotions WHERE result = 'done' GROUP BY ledger, repository, channel, variant) LIMIT 1",
            *digests,
        )
        return bool(rows)

    def merge(self, entry: PromotionEntry) -> None:
        """Keep a promotion as it is told, with whatever is known of it already.

        Raises:
            Contradiction: the ledger knows it otherwise.
        """
        facts = {
            "ledger": entry.ledger,
            "action": entry.action,
            "repository": entry.repository,
            "channel": entry.channel,
            "variant": entry.variant,
            "before": entry.before,
            "after": entry.after,
            "who": entry.who,
            "why": entry.why,
            "at": spell(entry.at),
            "forced": entry.forced,
        }
        later = {
            "turned": _spelt(entry.turned),
            "ended": _spelt(entry.ended),
            "result": entry.result,
            "overruled": entry.overruled,
            "overruled_by": entry.overruled_by,
        }
        name = f"The promotion {entry.id[:9]}"
        with self._database.writing():
            for digest in filter(None, (entry.before, entry.after)):
                self._images.mention(digest)
            known = self.find(entry.id)
            self._merge_head(entry.id, {**facts, **later}, name, tuple(later))
            if known and len(known.steps) != len(entry.steps):
                raise Contradiction(f"{name} has another number of steps here.", "Find out which of both is right.")
            for position, step in enumerate(entry.steps):
                self._merge_step(entry.id, position, step, name)

    def _merge_head(self, promotion: str, facts: dict[str, str | None], name: str, later: Sequence[str]) -> None:
        self._database.put("promotions", {"id": promotion}, facts, name=name, fill=later)

    def _merge_step(self, promotion: str, position: int, step: Step, name: str) -> None:
        facts = {"place": step.place, "subject": step.subject, "before": step.before, "after": step.after}
        later: dict[str, str | None] = {mark: _spelt(getattr(step, mark)) for mark in _MAY}
        self._database.put(
            "steps",
            {"promotion": promotion, "position": position},
            {**facts, **later},
            name=f"Step {position + 1} of {name[0].lower()}{name[1:]}",
            fill=tuple(later),
        )

    def _select(self, where: str, *values: str | int | None) -> tuple[PromotionEntry, ...]:
        with self._database.reading():
            rows = self._database.ask(f"SELECT * FROM promotions {where}", *values)
            return tuple(self._promotion(row) for row in rows)

    def _promotion(self, row: dict[str, Any]) -> PromotionEntry:
        steps = self._database.ask("SELECT * FROM steps WHERE promotion = ? ORDER BY position", row["id"])
        moments = {name: _moment(row[name]) for name in ("turned", "ended")}
        return PromotionEntry(
            **{**row, **moments, "at": moment_of(row["at"])}, steps=tuple(_step(step) for step in steps)
        )


def _ended(promotion: str) -> LedgerError:
    return LedgerError(
        f"The promotion {promotion[:9]} cannot come to its end like this: another process was at it.",
        "Look at its history, and try again.",
    )


def _step(row: dict[str, Any]) -> Step:
    moments = {name: _moment(row[name]) for name in _MAY}
    return Step(row["place"], row["subject"], row["before"], row["after"], **moments)


def _moment(text: str | None) -> datetime | None:
    return moment_of(text) if text else None


def _spelt(moment: datetime | None) -> str | None:
    return spell(moment) if moment else None
