"""Is an image larger than it may be?"""

from __future__ import annotations

from dataclasses import dataclass

from builder.engine.images import Image
from builder.gates.structure.examined import Examined
from builder.gates.structure.files import FileKind
from builder.gates.verdict import Check, failed, passed
from builder.plan.marks import OWN

NAME = "size"
_LARGEST = 5
_MEGABYTE = 1_000_000
_UNITS = {"MB": _MEGABYTE, "GB": 1000 * _MEGABYTE}
_KIND = ("variant", "cuda", "architectures")
"""Labels that decide how large an image has to be."""


@dataclass(frozen=True)
class SizeLimit:
    """How large an image may be.

    Attributes:
        most: bytes; None sets no limit.
        growth: percent by which it may be larger than the adopted image; None sets no limit.
        adopted: what it is compared with where that is of its kind: for the same processors, CUDA and GPUs.
        name: under which an image is adopted; empty where none is looked for.
    """

    most: int | None = None
    growth: int | None = None
    adopted: Image | None = None
    name: str = ""

    @classmethod
    def parse(cls, most: str, growth: str, adopted: Image | None, name: str = "") -> SizeLimit:
        """A limit in the configuration's words, such as `900MB` and `50%`; empty words set none."""
        size = int(float(most[:-2]) * _UNITS[most[-2:]]) if most else None
        return cls(size, int(growth.removesuffix("%")) if growth else None, adopted, name)


NO_LIMIT = SizeLimit()


def check_size(examined: Examined, limit: SizeLimit) -> Check:
    """The check for the size, in the engine's own measure."""
    size = examined.image.size
    largest = sorted(examined.files.entries.values(), key=lambda file: file.size, reverse=True)[:_LARGEST]
    shown = tuple(f"{_spell(file.size)} {file.path}" for file in largest if file.kind is FileKind.FILE)
    adopted = _comparable(examined.image, limit.adopted)
    compared = f", {_difference(size, adopted)}" if adopted else ""
    if too_much := _too_much(size, limit, adopted):
        sentence = f"The image has {_spell(size)}{compared}; {too_much}. The largest files are {', '.join(shown[:2])}."
        return failed(NAME, sentence, shown)
    return passed(NAME, f"The image has {_spell(size)}{compared or _uncompared(limit)}.", shown)


def _uncompared(limit: SizeLimit) -> str:
    missing = limit.growth is not None and limit.adopted is None and limit.name
    return f", not compared: nothing is adopted as {limit.name}" if missing else ""


def _too_much(size: int, limit: SizeLimit, adopted: Image | None) -> str:
    if limit.most is not None and size > limit.most:
        return f"{_spell(limit.most)} is the most that gates.size-limit allows"
    if adopted and limit.growth is not None and size > adopted.size * (1 + limit.growth / 100):
        return f"{limit.growth} % more is the most that gates.growth-limit allows"
    return ""


def _comparable(image: Image, adopted: Image | None) -> Image | None:
    if adopted is None or adopted.id == image.id or not adopted.size:
        return None
    same = all(image.labels.get(f"{OWN}{name}") == adopted.labels.get(f"{OWN}{name}") for name in _KIND)
    return adopted if same else None


def _difference(size: int, adopted: Image) -> str:
    percent = round(100 * (size / adopted.size - 1))
    if not percent:
        return "as much as the adopted one"
    return f"{abs(percent)} % {'more' if percent > 0 else 'less'} than the adopted one ({_spell(adopted.size)})"


def _spell(size: int) -> str:
    return f"{size / _MEGABYTE:,.1f} MB"
