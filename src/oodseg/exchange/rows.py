"""Reads the Parquet rows of `oodseg predict --engine ray` as labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from oodseg.core.errors import DatasetError, MissingDependencyError
from oodseg.core.installing import install_extra
from oodseg.core.objects import OodObject
from oodseg.exchange.format import reading
from oodseg.exchange.labels import LabelledImage

ROWS = "rows"
_COLUMNS = ["path", "width", "height", "objects"]


def has_rows(folder: Path) -> bool:
    """Tells whether a folder holds such rows."""
    return next((folder / ROWS).glob("*/*.parquet"), None) is not None


def read_rows(folder: Path) -> list[LabelledImage]:
    """Reads all images that gave a result, by their paths; they must lie on this machine.

    Args:
        folder: What `--out` named, with rows of one pipeline.

    Raises:
        DatasetError: Rows of several pipelines, a damaged file, or images in a store.
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError(
            f"tables of results need pyarrow: install it with `{install_extra('ray')}`"
        ) from error
    models = sorted({path.parent for path in (folder / ROWS).glob("*/*.parquet")})
    if len(models) > 1:
        raise DatasetError(
            f"{folder} holds rows of {len(models)} pipelines: leave one folder in {folder / ROWS}"
        )
    rows: list[dict[str, Any]] = []
    for file in sorted(models[0].glob("*.parquet")):
        with reading(file, "rows of `oodseg predict --engine ray`"):
            rows += pq.ParquetFile(file).read(_COLUMNS).to_pylist()
    # Rows without a size are images that could not be read.
    rows = sorted((row for row in rows if row["height"] is not None), key=lambda row: str(row["path"]))
    remote = next((row["path"] for row in rows if "://" in row["path"]), None)
    if remote is not None:
        raise DatasetError(f"{remote} lies in a store: fetch the images, and predict those files")
    root = os.path.commonpath([os.path.dirname(row["path"]) for row in rows]) if rows else ""
    with reading(folder / ROWS, "rows of `oodseg predict --engine ray`"):
        return [_image(row, root) for row in rows]


def _image(row: dict[str, Any], root: str) -> LabelledImage:
    path = Path(row["path"])
    objects = tuple(OodObject.from_rle(each["rle"], each["confidence"]) for each in row["objects"])
    name = path.relative_to(root).as_posix()
    return LabelledImage(name, row["height"], row["width"], objects, path=path if path.is_file() else None)
