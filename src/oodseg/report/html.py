"""Fills the HTML templates of the reports; whatever is put into one is escaped."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Environment


def fill(template: str, **values: Any) -> Markup:
    """Fills a template of `oodseg/report/templates`.

    Args:
        template: Its file name.
        **values: What it asks for; text is escaped unless it is `Markup` already.

    Returns:
        HTML, which other templates take as it is.

    Raises:
        jinja2.UndefinedError: The template asks for a value that is not given.
    """
    return Markup(_environment().get_template(template).render(values))


def percent(share: float | None, digits: int = 0) -> str:
    """Formats a share as percent, `"–"` where it is undefined (None or NaN)."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{digits}f} %"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # a run that is done needs none of it

    environment = Environment(
        loader=PackageLoader("oodseg.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    return environment
