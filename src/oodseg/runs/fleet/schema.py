"""The table of results: one row per image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95, "q99": 0.99}
"""Name and level of the quantiles of an image's score map, beside `min` and `max`."""

STAGES = ("read", "detector", "prompts", "masks", "total")


def row_schema(extra: pa.Schema | None = None) -> pa.Schema:
    """Describes the columns of a row.

    | column | holds |
    |---|---|
    | `id` | SHA-256 of the image's bytes; null if these could not be read |
    | `path` | where it lies: an absolute path or a URL |
    | `stamp` | size and time of change, or the store's tag, by which a rerun knows it again |
    | `model` | SHA-256 of the pipeline's settings, weights included |
    | `bytes`, `width`, `height` | size of the file, and of the image in pixels |
    | `objects` | most confident first: `rle` (COCO), `bbox` (x, y, width, height of the mask), `prompt_box` \
(x0, y0, x1, y1), `area`, `confidence` |
    | `score` | `min`, quantiles and `max` of the normalised score map; null if it is not shown |
    | `milliseconds` | time of every stage |
    | `warnings` | what was mended on the way |
    | `error`, `error_kind` | why there is no result: `image` (unreadable, for good), `store` (could not be \
fetched) or `pipeline` (failed); the last two are tried again by a rerun |
    | `time` | when the row was made |

    Args:
        extra: Columns of a manifest, which follow.
    """
    import pyarrow as pa

    found = pa.struct(
        [
            ("rle", pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])),
            ("bbox", pa.list_(pa.float32())),
            ("prompt_box", pa.list_(pa.float32())),
            ("area", pa.int64()),
            ("confidence", pa.float32()),
        ]
    )
    score = pa.struct([(name, pa.float32()) for name in ("min", *QUANTILES, "max")])
    own = pa.schema(
        [
            ("id", pa.string()),
            ("path", pa.string()),
            ("stamp", pa.string()),
            ("model", pa.string()),
            ("bytes", pa.int64()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("objects", pa.list_(found)),
            ("score", score),
            ("milliseconds", pa.struct([(name, pa.float32()) for name in STAGES])),
            ("warnings", pa.list_(pa.string())),
            ("error", pa.string()),
            ("error_kind", pa.string()),
            ("time", pa.timestamp("ms", tz="UTC")),
        ]
    )
    return own if extra is None else pa.schema([*own, *extra])
