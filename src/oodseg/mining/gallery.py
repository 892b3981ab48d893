"""`mined.json`, and `index.html`: a page to look at what was mined, and to pick from it; opens offline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from oodseg.core.files import write_bytes, write_json
from oodseg.core.fingerprint import hash_json
from oodseg.core.version import __version__
from oodseg.mining.crops import SIDE
from oodseg.mining.listing import MinedObject
from oodseg.report.html import fill

JSON_FILE, PAGE_FILE = "mined.json", "index.html"


def write_gallery(
    objects: Sequence[MinedObject], failures: Mapping[str, str], about: Mapping[str, Any], out: Path
) -> None:
    """Writes list and page.

    Args:
        objects: The first one first.
        failures: By name: why an object could not be cut out.
        about: JSON-able: `results`, the folder the objects come from, `like`, the examples, and what else is
            known of the run.
        out: Folder that the crops lie in.

    Raises:
        OodsegError: A file cannot be written.
    """
    info = {"description": "objects by how rare they are", "version": __version__, **about}
    listed = [{"rank": number, **asdict(each)} for number, each in enumerate(objects, start=1)]
    missing = [{"name": name, "reason": reason} for name, reason in failures.items()]
    write_json(out / JSON_FILE, {"info": info, "objects": listed, "failures": missing})
    page = render(objects, list(failures.values()), about)
    write_bytes(out / PAGE_FILE, page.encode("utf-8", "xmlcharrefreplace"))


def render(objects: Sequence[MinedObject], failures: Sequence[str], about: Mapping[str, Any]) -> str:
    """Builds the page.

    Args:
        objects: The first one first.
        failures: Why objects could not be cut out.
        about: See `write_gallery`.

    Returns:
        A whole HTML document; the crops are loaded as they come into view.
    """
    sizes = Counter(each.cluster for each in objects)
    return fill(
        "mining.html",
        crops=[_crop(each) for each in objects],
        clusters=[(cluster, sizes[cluster]) for cluster in sorted(sizes) if cluster],
        alone=sizes[0],
        like=[Path(path).name for path in about["like"]],
        duplicates=sum(len(each.stands_for) for each in objects),
        failures=failures,
        results=about["results"],
        # Picks are remembered under this name: of other results, they are others.
        memory=f"oodseg-picks-{hash_json(about['results'])[:16]}",
        side=SIDE,
    )


def _crop(found: MinedObject) -> dict[str, Any]:
    """Returns what the page's script needs to know of an object."""
    return {
        "image": found.image,
        "object": found.number,
        "box": found.bbox,
        "area": found.area,
        "confidence": found.confidence,
        "rarity": found.rarity,
        "cluster": found.cluster,
        "similarity": found.similarity,
        "copies": len(found.stands_for),
        "crop": quote(found.crop, errors="surrogateescape"),
        "outline": found.outline,
    }
