"""A soak as one JSON document: what was asked of what, where, every look, every request, and what came of it.

Read back strictly: an unknown key, a missing one or another version is refused. It is written whole, also while the
load still runs, and says so then: what an interrupted soak has seen is not lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from builder.performance.documents import read_document
from builder.performance.record import MachineRecord, SubjectRecord
from builder.performance.soak.series import COLUMNS, Asked, Ended, Sample, Series
from builder.staging import write_whole

VERSION: Literal[1] = 1
Said = Literal["pass", "fail", "could not judge"]
_DIGITS = 6


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnRecord(_Part):
    """A figure over time."""

    name: str
    unit: str
    told: str = Field(description="what it is, for people")
    total: bool = Field(description="it counts from a start on, so that differences tell")


class SeriesRecord(_Part):
    """What was seen at each look; nothing where it could not be known."""

    columns: tuple[ColumnRecord, ...]
    times: tuple[FiniteFloat, ...] = Field(description="seconds since the load began")
    values: Mapping[str, tuple[FiniteFloat | None, ...]] = Field(description="by the column's name, one for each time")

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        if set(self.values) != {column.name for column in self.columns}:
            raise ValueError("the columns are not those that there are values of")
        if wrong := next((name for name, values in self.values.items() if len(values) != len(self.times)), None):
            raise ValueError(f"{wrong} has {len(self.values[wrong])} values for {len(self.times)} times")
        return self

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> SeriesRecord:
        """From looks."""
        seen = tuple(samples)
        return cls(
            columns=tuple(ColumnRecord(**asdict(column)) for column in COLUMNS),
            times=tuple(round(one.at, 3) for one in seen),
            values={column.name: tuple(_rounded(one.values.get(column.name)) for one in seen) for column in COLUMNS},
        )


class RequestRecord(_Part):
    """One request; times are seconds since the load began."""

    kind: str
    sent: FiniteFloat
    first: FiniteFloat | None
    ended: FiniteFloat
    outcome: Ended
    prompt_tokens: int | None
    cached_tokens: int | None
    tokens: int | None
    waited: FiniteFloat | None
    error: str
    late: FiniteFloat | None = Field(None, description="by how much the asking program sent it after it was due")

    @classmethod
    def of(cls, asked: Asked) -> RequestRecord:
        """From a request."""
        values = {name: getattr(asked, name) for name in cls.model_fields}
        return cls(**{name: _rounded(value) if isinstance(value, float) else value for name, value in values.items()})


class CheckRecord(_Part):
    """One thing that was looked at, and what came of it."""

    name: str
    outcome: Said
    detail: str
    excerpt: tuple[str, ...] = ()


class SoakRecord(_Part):
    """The whole soak."""

    schema_version: Literal[1] = VERSION
    product: str = Field(description="version of the program that asked")
    started: AwareDatetime
    ended: AwareDatetime | None = Field(None, description="nothing while the load runs")
    interrupted: str = Field("", description="why it is not whole; empty where it is")
    subject: SubjectRecord
    machine: MachineRecord
    arguments: Mapping[str, str] = Field(description="the load: rate, minutes, spacing, seed, users' time-out, sizes")
    limits: Mapping[str, str] = Field(description="what it was judged by")
    series: SeriesRecord
    requests: tuple[RequestRecord, ...]
    figures: Mapping[str, FiniteFloat | None] = Field(
        default_factory=dict, description="what it all comes to, by name with its unit"
    )
    checks: tuple[CheckRecord, ...] = ()
    outcome: Said | None = Field(None, description="all checks together; nothing where nothing was judged")
    notes: tuple[str, ...] = Field((), description="sentences for people")

    @property
    def whole(self) -> bool:
        """Whether the load ran to its end."""
        return self.ended is not None and not self.interrupted

    def seen(self) -> Series:
        """What was seen, as the judgement takes it."""
        columns = self.series.values
        samples = (
            Sample(at, {name: values[place] for name, values in columns.items() if values[place] is not None})  # type: ignore[misc]
            for place, at in enumerate(self.series.times)
        )
        return Series(tuple(samples), tuple(Asked(**request.model_dump()) for request in self.requests))


def write_soak(record: SoakRecord, file: Path) -> None:
    """Write it so that it is there as a whole or not at all.

    Raises:
        MachineError: the disk is full or may not be written to.
    """
    write_whole(file, record.model_dump_json().encode() + b"\n")


def read_soak(file: Path) -> SoakRecord:
    """Read it back.

    Raises:
        SourceError: it is no record of a soak, is damaged, or another version of the program wrote it.
        MachineError: it cannot be read.
    """
    return read_document(file, SoakRecord, what="record of a soak", command="builder soak")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
