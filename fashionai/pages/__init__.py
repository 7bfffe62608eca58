"""HTML pages: templates with one style, which need nothing from any other address.

Every value that a template prints is escaped: names of classes and files are text, never markup.
"""

from __future__ import annotations

import json
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, **values: object) -> str:
    """A page as HTML.

    Args:
        template: File name in ``templates``.
        values: Values for the template, printed as text.

    Returns:
        The page.

    Raises:
        jinja2.UndefinedError: The template reads a value that is missing.
    """
    return _templates().get_template(template).render(values)


def as_json(value: object) -> Markup:
    """A value as JSON that may stand inside a ``script`` element.

    ``<``, ``>`` and ``&`` are written as escapes of JSON, so that no text of the value can end the
    element (HTML Living Standard, section 4.12.1.3).
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("fashionai.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["as_json"] = as_json
    return environment
