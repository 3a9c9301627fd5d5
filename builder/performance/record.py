"""A result as one JSON document: what was measured, where, how, every run, and what came of it.

Read back strictly: an unknown key, a missing one or another version is refused. It is written whole, also while rounds
are still measured, and says so then: what an interrupted bench has measured is not lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from builder.engine.machine_facts import MachineFacts
from builder.performance.comparison import Direction, Judgement, Outcome
from builder.performance.documents import read_document
from builder.performance.rules import Rules, Statistic
from builder.performance.samples import Better, Family, Metric, Run
from builder.staging import write_whole

VERSION: Literal[1] = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")


def _number(value: object) -> object:
    """JSON has no word for what is no number."""
    return math.nan if value is None else value


Number = Annotated[float, BeforeValidator(_number)]


class MetricRecord(_Part):
    """A figure that was measured."""

    name: str
    unit: str
    better: Better
    family: Family

    def metric(self) -> Metric:
        """As the judgement takes it."""
        return Metric(self.name, self.unit, self.better, self.family)


class RunRecord(_Part):
    """One run, also one that was set aside."""

    subject: str
    round: int = Field(ge=1)
    order: int = Field(ge=0)
    samples: Mapping[str, tuple[Number, ...]]
    conditions: Mapping[str, Number]
    set_aside: str

    def run(self) -> Run:
        """As the judgement takes it."""
        return Run(self.subject, self.round, self.order, self.samples, self.conditions, self.set_aside)


class ModelRecord(_Part):
    """A model file."""

    name: str
    digest: str = Field(description="`sha256:` and 64 digits")
    size: int = Field(ge=0, description="bytes")


class SubjectRecord(_Part):
    """What was measured under one name."""

    name: str
    reference: str = Field(description="the image in the words it was asked for")
    image: str = Field(description="image ID")
    repo_digests: tuple[str, ...] = ()
    repository: str = Field("", description="the image's name without a tag")
    channel: str = Field("", description="such as candidate; empty where it was asked for by another name")
    build: str = Field("", description="upstream's name of what was built, such as b10991")
    plan: str = Field("", description="digest of all that the image was built from")
    profile: str
    settings: Mapping[str, str] = Field(description="the whole profile as it was served")
    overrides: Mapping[str, str] = Field(default_factory=dict, description="what of it was otherwise than configured")
    model: ModelRecord


class GpuRecord(_Part):
    """A GPU that was measured on."""

    name: str
    uuid: str
    memory: int = Field(description="bytes")
    compute_capability: str
    driver: str
    power_limit: float | None = Field(None, description="W")


class MachineRecord(_Part):
    """Where it was measured."""

    host: str = Field("", description="something that no other machine has; empty where unknown")
    processor: str
    cores: int
    memory: int = Field(description="bytes")
    system: str
    kernel: str
    engine: str
    gpus: tuple[GpuRecord, ...] = ()

    @classmethod
    def of(cls, facts: MachineFacts, host: str) -> MachineRecord:
        """From what is known of a machine with the GPUs that are measured on."""
        gpus = tuple(
            GpuRecord(
                name=gpu.name,
                uuid=gpu.uuid,
                memory=gpu.memory,
                compute_capability=gpu.compute_capability,
                driver=gpu.driver,
                power_limit=gpu.power_limit,
            )
            for gpu in facts.gpus
        )
        known = {name: getattr(facts, name) for name in cls.model_fields if hasattr(facts, name) and name != "gpus"}
        return cls(host=host, gpus=gpus, **known)


class RulesRecord(_Part):
    """What the judgement went by."""

    allowed: Mapping[Family, float]
    gating: tuple[str, ...]
    confidence: float
    least_rounds: int
    most_rounds: int
    time_limit: float

    def rules(self) -> Rules:
        """As the judgement takes them.

        Raises:
            ValueError: the numbers fit no comparison.
        """
        return Rules(**self.model_dump())


class JudgementRecord(_Part):
    """What came of one figure."""

    metric: str
    statistic: Statistic
    outcome: Outcome
    direction: Direction
    allowed: float | None
    ratio: float | None
    low: float | None
    high: float | None
    rounds: int
    spread: float | None
    more_rounds: int | None
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, judgement: Judgement) -> JudgementRecord:
        """From a judgement."""
        question = judgement.question
        known = {name: getattr(judgement, name) for name in cls.model_fields if name not in ("metric", "statistic")}
        return cls(metric=question.metric.name, statistic=question.statistic, **known)


class Record(_Part):
    """The whole result."""

    schema_version: Literal[1] = VERSION
    product: str = Field(description="version of the program that measured")
    started: AwareDatetime
    ended: AwareDatetime | None = Field(None, description="nothing while it is being measured")
    interrupted: str = Field("", description="why it is not whole; empty where it is")
    subjects: tuple[SubjectRecord, ...] = Field(min_length=1)
    machine: MachineRecord
    arguments: Mapping[str, str] = Field(description="what was asked for: lengths, users, repetitions")
    metrics: tuple[MetricRecord, ...]
    rules: RulesRecord
    runs: tuple[RunRecord, ...]
    judgements: tuple[JudgementRecord, ...] = ()
    outcome: Outcome | None = Field(None, description="all deciding figures together; nothing where nothing was judged")
    unsettled: str = Field("", description="why a base line or a choice is none yet; empty where it is")
    recommended: str = Field("", description="name of the subject to take; empty where there was nothing to choose")
    recommendation: tuple[str, ...] = Field((), description="what it rests on, as sentences")
    notes: tuple[str, ...] = Field((), description="sentences for people")

    @property
    def whole(self) -> bool:
        """Whether it was measured to its end."""
        return self.ended is not None and not self.interrupted

    def subject(self, name: str) -> SubjectRecord | None:
        """The subject of this name."""
        return next((subject for subject in self.subjects if subject.name == name), None)

    def measured_runs(self) -> tuple[Run, ...]:
        """Every run, as the judgement takes it."""
        return tuple(run.run() for run in self.runs)


def records_of_runs(runs: Iterable[Run]) -> tuple[RunRecord, ...]:
    """Runs as the record holds them."""
    return tuple(
        RunRecord(
            subject=run.subject,
            round=run.round,
            order=run.order,
            samples=run.samples,
            conditions=run.conditions,
            set_aside=run.set_aside,
        )
        for run in runs
    )


def records_of_metrics(metrics: Iterable[Metric]) -> tuple[MetricRecord, ...]:
    """Figures as the record holds them."""
    return tuple(MetricRecord.model_validate(asdict(metric)) for metric in metrics)


def record_of_rules(rules: Rules) -> RulesRecord:
    """Rules as the record holds them."""
    return RulesRecord.model_validate({name: getattr(rules, name) for name in RulesRecord.model_fields})


def write_record(record: Record, file: Path) -> None:
    """Write it so that it is there as a whole or not at all.

    Raises:
        MachineError: the disk is full or may not be written to.
    """
    write_whole(file, record.model_dump_json(indent=1).encode() + b"\n")


def read_record(file: Path) -> Record:
    """Read it back.

    Raises:
        SourceError: it is no record, is damaged, or another version of the program wrote it.
        MachineError: it cannot be read.
    """
    return read_document(file, Record, what="record", command="builder bench")
