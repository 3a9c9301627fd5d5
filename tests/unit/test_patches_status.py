"""What a row says beyond its standing."""

from __future__ import annotations

import pytest

from builder.source.patches.status import APPLIED, FAILED, FileConflict, Landing, PatchStatus, Shift, Standing


def row(standing: Standing, **facts: object) -> PatchStatus:
    return PatchStatus("0001-x.patch", "fix x", standing, **facts)  # type: ignore[arg-type]


def test_every_standing_but_upstream_is_applied_or_failed() -> None:
    assert set(Standing) == APPLIED | FAILED | {Standing.UPSTREAM}
    assert not APPLIED & FAILED


def shifts(*lines: int) -> tuple[Shift, ...]:
    return tuple(Shift("x.c", number, far) for number, far in enumerate(lines, 1))


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (row(Standing.CLEAN), ""),
        (row(Standing.FUZZY, merged=True), "by three-way merge"),
        (row(Standing.FUZZY, shifts=shifts(16)), "1 hunk moved +16 lines"),
        (row(Standing.FUZZY, shifts=shifts(-3, -3)), "2 hunks moved -3 lines"),
        (row(Standing.FUZZY, shifts=shifts(-3, 12, 4)), "3 hunks moved -3 to +12 lines"),
        (row(Standing.FUZZY, shifts=shifts(2), merged=True), "by three-way merge; 1 hunk moved +2 lines"),
        (row(Standing.UPSTREAM), "the tree has all of it"),
        (row(Standing.UPSTREAM, since=Landing("1" * 40, "b7", "fix x (#1)")), "since b7: fix x (#1)"),
        (row(Standing.BLOCKED, blockers=("a.patch",), alone=True), "by a.patch; it applies without it"),
        (row(Standing.BLOCKED, blockers=("a", "b"), alone=False), "by a, b; it needs what those bring"),
        (row(Standing.BLOCKED, blockers=("a", "b"), alone=True), "by a, b; it applies without them"),
        (row(Standing.CONFLICT, conflicts=(FileConflict("x.c", (2,), 3, "others"),)), "x.c: hunk #2 of 3"),
        (
            row(
                Standing.CONFLICT,
                conflicts=(FileConflict("x.c", (1,), 1, "others"),),
                since=Landing("1" * 40, "b7", "fix x (#1)"),
            ),
            "x.c: hunk #1 of 1; upstream took it in b7 and changed it since",
        ),
        (row(Standing.CONFLICT, conflicts=(FileConflict("x.c", (1, 3), 3, "others"),)), "x.c: hunks #1, #3 of 3"),
        (
            row(
                Standing.CONFLICT,
                conflicts=(
                    FileConflict("x.c", (), 1, "the tree has no such file"),
                    FileConflict("y", (1,), 1, "others"),
                ),
            ),
            "x.c: the tree has no such file; y: hunk #1 of 1",
        ),
    ],
)
def test_details(status: PatchStatus, detail: str) -> None:
    assert status.detail == detail
