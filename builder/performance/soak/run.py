"""A server under load from its start on, watched until the last answer came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.engine.client import Engine
from builder.engine.gpu import Gpu
from builder.engine.nvml import watch_gpu
from builder.performance.nearest import nearest_address
from builder.performance.prompts import Prompts
from builder.performance.soak.arrivals import arrivals
from builder.performance.soak.container import ContainerWatch
from builder.performance.soak.looking import ANSWER, Onlooker, looking
from builder.performance.soak.mix import ChatSizes, Question, chats, texts
from builder.performance.soak.plan import Load
from builder.performance.soak.sending import Book, alongside, send
from builder.performance.soak.series import Series
from builder.performance.start import until_healthy
from builder.profiles import Profile
from builder.server.address import Address
from builder.server.answers import Deviation
from builder.server.client import Client
from builder.server.running import RunningServer

if TYPE_CHECKING:
    from builder.engine.container_memory import ContainerMemory
    from builder.engine.nvml import GpuWatch
    from builder.performance.soak.container import Process

_TELL = 0.5
_ANSWER = 30.0
"""Seconds for what is asked before the load begins."""


@dataclass(frozen=True)
class Soaked:
    """What was seen of a server under load, so far or to its end.

    Attributes:
        whole: the load came to its end with the server still there.
        processes: every state of the container's process that was seen, in order.
        peak: the look at which the container held most memory; None where nobody told.
        cores: that the container may use; None where nobody told.
        slow_reasons: what slowed the GPU down at any look.
        gpu_absence: why nothing could be seen of the GPU, as a sentence; empty where it could, or there is none.
        sizes: of what was asked, for the record.
    """

    series: Series
    whole: bool
    processes: tuple[Process, ...] = ()
    peak: ContainerMemory | None = None
    cores: int | None = None
    slow_reasons: tuple[str, ...] = ()
    gpu_absence: str = ""
    sizes: Mapping[str, str] | None = None


Take = Callable[[Soaked], None]
"""Gets what was seen so far, twice a second, in a thread of its own."""


def soak(
    server: RunningServer, profile: Profile, load: Load, engine: Engine, *, log: Path, gpu: Gpu | None, take: Take
) -> Soaked:
    """Put a server that was started under load.

    Args:
        log: file that gets all the server says.
        gpu: the one that it computes on; None on the processor.
        take: also gets what was seen so far where this is interrupted, before the interruption goes on.

    Returns:
        What was seen; it is not whole where the server ended in the middle.

    Raises:
        CouldNotMeasure: it was not healthy in time.
        Deviation: it ended before that, or answers nothing rightly that is asked before the load begins.
    """
    if (published := server.address) is None:
        raise Deviation("The server ended before it was healthy.")
    with Client(published, timeout=_ANSWER) as client:
        until_healthy(server, client, profile.health_limit)
    address = nearest_address(server, published, engine)
    with Client(address, timeout=_ANSWER) as client:
        questions, sizes = _questions(client, profile, load)
    watching: AbstractContextManager[GpuWatch | None] = watch_gpu(gpu.uuid) if gpu else nullcontext()
    with (
        watching as watch,
        Client(address, timeout=ANSWER) as client,
        ContainerWatch(engine.endpoint, server.name) as container,
    ):
        book = Book()
        onlooker = Onlooker(book, client, container, watch, log)

        def seen(*, whole: bool = False) -> Soaked:
            return Soaked(
                series=Series(tuple(onlooker.samples), tuple(book.asked)),
                whole=whole,
                processes=tuple(onlooker.processes),
                peak=onlooker.peak,
                cores=onlooker.cores,
                slow_reasons=tuple(onlooker.slow_reasons),
                gpu_absence=watch.absence if watch else "",
                sizes=sizes,
            )

        try:
            with looking(onlooker, load.period):
                asyncio.run(_load(address, questions, load, book, onlooker, lambda: take(seen())))
        except BaseException:
            take(seen())
            raise
        return seen(whole=not onlooker.ended)


async def _load(
    address: Address,
    questions: Iterator[Question],
    load: Load,
    book: Book,
    onlooker: Onlooker,
    tell: Callable[[], None],
) -> None:
    due = zip(arrivals(load.rate, load.seconds, load.spacing, load.seed), questions, strict=False)
    telling = asyncio.create_task(alongside(tell, _TELL))
    try:
        await send(address, due, load.patience, book, lambda: not onlooker.ended and not telling.done())
    finally:
        telling.cancel()
        await asyncio.wait((telling,))
    telling.result()


def _questions(client: Client, profile: Profile, load: Load) -> tuple[Iterator[Question], Mapping[str, str]]:
    slot = client.properties().slot_context or profile.context // profile.slots
    prompts = Prompts.for_server(lambda text: len(client.tokenize(text)), f"soak {load.seed}")
    if profile.embeddings:
        return texts(prompts, slot, profile, load.seed), {"slot": f"{slot} tokens"}
    sizes = ChatSizes.in_slot(slot, load.answer)
    told = {
        "slot": f"{slot} tokens",
        "answer": f"{sizes.answer} tokens",
        "beginning": f"{sizes.beginning} tokens",
        "question": f"{sizes.question} tokens",
        "long question": f"{sizes.long} tokens",
    }
    return chats(prompts, sizes, load.conversations, load.seed), told
