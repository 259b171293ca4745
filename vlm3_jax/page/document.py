"""HTML pages of one file: they load nothing, run nothing and look the same without a network.

Every function gives `Markup`; any other text that is put into a page is escaped.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

_FOLDER = Path(__file__).parent
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.tests["is_markup"] = lambda part: isinstance(part, Markup)
_JPEG_QUALITY = 82


@dataclass(frozen=True)
class Section:
    """A headed part of a page."""

    title: str
    parts: Sequence[str]
    """Markup as it is; other text becomes a paragraph."""


def document(title: str, sections: Sequence[Section], lead: str = "") -> str:
    """A whole page.

    Args:
        title: its heading and the browser's title.
        sections: its parts, from top to bottom.
        lead: a sentence below the heading.
    """
    style = Markup((_FOLDER / "style.css").read_text())
    page = _ENVIRONMENT.get_template("page.html")
    return page.render(title=title, sections=sections, lead=lead, style=style)


def part(name: str, *arguments: Any) -> Markup:
    """Fills a macro of `parts.html`."""
    return getattr(_ENVIRONMENT.get_template("parts.html").module, name)(*arguments)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> Markup:
    """A table; all columns but the first are set right. A wide one scrolls by itself."""
    return part("table", head, rows, caption)


def facts(values: Mapping[str, Any]) -> Markup:
    """Single figures by their names."""
    return part("facts", list(values.items()))


def notes(texts: Sequence[str], kind: str = "warning") -> Markup:
    """Sentences that stand out; `kind` is `warning` or `good`."""
    return part("notes", texts, kind)


def picture(image: Image.Image, alt: str, caption: str = "") -> Markup:
    """An image as JPEG inside of the page.

    Args:
        image: in the size that it is stored with; scale it down first.
        alt: what it shows, for who cannot see it.
        caption: text below it.
    """
    return part("figure", data_uri(image), image.width, image.height, alt, caption)


def data_uri(image: Image.Image) -> str:
    """An image as the address that holds it, a JPEG."""
    file = io.BytesIO()
    image.convert("RGB").save(file, format="JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def charts(parts: Sequence[Markup]) -> Markup:
    """Charts (see `charts.py`), as many beside each other as there is room for."""
    return part("grid", parts, "charts")


def cards(parts: Sequence[Markup]) -> Markup:
    """Cards, as many beside each other as there is room for."""
    return part("grid", parts, "cards")


def side_by_side(parts: Sequence[Markup]) -> Markup:
    """Two pictures beside each other, or one."""
    return part("grid", parts, "side-by-side")


def card(title: str, parts: Sequence[Markup]) -> Markup:
    """A framed box with a heading."""
    return part("card", title, parts)


def colour_bar(colours: Sequence[tuple[int, int, int]], ticks: Sequence[str], label: str) -> Markup:
    """What colours mean.

    Args:
        colours: evenly spaced, from left to right.
        ticks: texts below it, evenly spaced, from its left end to its right end.
        label: what is coloured.
    """
    return part("colour_bar", [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colours], ticks, label)
