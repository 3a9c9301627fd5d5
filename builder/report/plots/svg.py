"""SVG elements, made as a tree so that no text can become markup."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, tostring

from builder.console import printable

if TYPE_CHECKING:
    from markupsafe import Markup

Value = str | int | float


def element(tag: str, *inner: Element, text: str = "", **attributes: Value) -> Element:
    """An element; `class_` stands for `class`, `stroke_width` for `stroke-width`."""
    made = Element(tag, {_name(name): _spell(value) for name, value in attributes.items()})
    made.text = printable(text) or None
    made.extend(inner)
    return made


def plot(height: float, told: str, *inner: Element) -> Element:
    """A plot as wide as its place.

    Args:
        height: pixels.
        told: what it shows, for those who do not see it.
    """
    return element("svg", *inner, role="img", aria_label=printable(told), width="100%", height=height, class_="plot")


def share(place: float) -> str:
    """A place between 0 and 1 as SVG has it."""
    return f"{place * 100:.2f}%"


def path(points: list[tuple[float, float]], top: float, height: float, class_: str, *, closed: bool = False) -> Element:
    """A line through points between 0 and 1, drawn over a band of the plot; its stroke keeps its width.

    Args:
        points: from left and from below.
        top: pixels from the plot's top to the band.
    """
    steps = " ".join(
        f"{'L' if number else 'M'}{x * 1000:.1f} {(1 - y) * 100:.1f}" for number, (x, y) in enumerate(points)
    )
    drawn = element("path", d=steps + (" Z" if closed else ""), class_=class_, vector_effect="non-scaling-stroke")
    return element(
        "svg",
        drawn,
        y=top,
        width="100%",
        height=height,
        viewBox="0 0 1000 100",
        preserveAspectRatio="none",
        overflow="visible",
    )


def markup(tree: Element) -> Markup:
    """An element as part of a page."""
    from markupsafe import Markup

    # The serializer has escaped every text and attribute.
    return Markup(tostring(tree, encoding="unicode"))  # noqa: S704


def _name(name: str) -> str:
    return name if name in _CAMEL else name.rstrip("_").replace("_", "-")


_CAMEL = frozenset({"viewBox", "preserveAspectRatio"})


def _spell(value: Value) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
