"""Manifests: Parquet or CSV files that name images in a column `path`; their other columns come through."""

from __future__ import annotations

import codecs
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from oodseg.core.errors import ConfigError, ImageError
from oodseg.runs.fleet.places import file_system, local_path, need_parquet
from oodseg.runs.fleet.schema import row_schema

if TYPE_CHECKING:
    import pyarrow as pa

PATH = "path"
_PREFIX = "source_"
_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile("sep=(.)", re.IGNORECASE)
_HEAD = 1 << 16  # bytes that the names of the columns stand in


def is_manifest(source: str) -> bool:
    """Tells whether a source is a manifest, by its suffix."""
    return PurePosixPath(source).suffix.lower() in {".parquet", ".csv"}


class Manifest:
    """A table of images.

    Args:
        location: Path or URL of a Parquet or CSV file with a column `path`. A relative path is looked for in
            the working folder, then beside the manifest; one beside a manifest in a store lies in that store.

    Attributes:
        location: Likewise.
        columns: Names and types of the other columns, as they come through: a name that results have
            themselves begins with `source_`.

    Raises:
        ImageError: There is no such file.
        ConfigError: It cannot be read, or has no column `path`.
    """

    def __init__(self, location: str) -> None:
        need_parquet()
        self.location = location
        with _reading(self.location):
            schema = self._batches().schema
            names = schema.names
        if PATH not in names:
            raise ConfigError(
                f"the manifest {location} has no column {PATH} (it has {', '.join(names) or 'none'}): "
                f"call the column of paths or URLs {PATH}"
            )
        if _is_csv(location) and any(str(each.type) == "binary" for each in schema):
            raise _in_another_encoding(location)  # to Arrow such text is bytes
        self.columns = self._renamed(schema)
        for each in (names, self.columns.names):
            twice = next((name for name, times in Counter(each).items() if times > 1), None)
            if twice is not None:
                raise ConfigError(f"the manifest {location} has two columns {twice}: rename one of them")

    def rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yields the absolute path or URL of every image, and its values in the other columns."""
        with _reading(self.location):
            for batch in self._batches():
                names = batch.schema.names
                for row in batch.to_pylist():
                    path = row[PATH]
                    if path is None or not str(path).strip():
                        raise ConfigError(
                            f"the manifest {self.location} has a row without a path: fill it in"
                        )
                    others = (row[name] for name in names if name != PATH)
                    yield self._located(str(path)), dict(zip(self.columns.names, others, strict=True))

    def _batches(self) -> Any:
        """Something with a `schema` that yields record batches."""
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.dataset

        path = local_path(self.location)
        if path is not None and not os.path.isfile(path):
            raise ImageError(f"{path} does not exist: check the path for typing errors")
        if path is None:
            system, inside = file_system(self.location)
            source = system.open(inside, "rb")
        else:
            source = path
        if _is_csv(self.location):
            with nullcontext(source) if path is None else Path(path).open("rb") as file:
                encoding, delimiter, skipped = _dialect(file.read(_HEAD))
                file.seek(0)
            return pa.csv.open_csv(
                source,
                pa.csv.ReadOptions(encoding=encoding, skip_rows=skipped),
                pa.csv.ParseOptions(delimiter=delimiter),
                # Names of digits alone are names still: 0001 is not 1.
                pa.csv.ConvertOptions(column_types={PATH: pa.string()}),
            )
        return _ParquetBatches(source)

    def _renamed(self, schema: pa.Schema) -> pa.Schema:
        import pyarrow as pa

        taken = set(row_schema().names)
        fields = []
        for each in schema:
            if each.name == PATH:
                continue
            name = f"{_PREFIX}{each.name}" if each.name in taken else each.name
            fields.append(pa.field(name, each.type))
        return pa.schema(fields)

    def _located(self, path: str) -> str:
        if "://" in path:
            inside = local_path(path)
            return path if inside is None else os.path.abspath(inside)
        local = local_path(self.location)
        if local is None:
            return path if path.startswith("/") else f"{self.location.rpartition('/')[0]}/{path}"
        # Written on Windows, a path has backslashes.
        spellings = (path, path.replace("\\", "/"), path.strip())
        places = [each for name in spellings for each in (name, os.path.join(os.path.dirname(local), name))]
        return os.path.abspath(next(filter(os.path.lexists, places), path))


@contextmanager
def _reading(location: str) -> Iterator[None]:
    """Turns whatever goes wrong while a manifest is read into one sentence."""
    try:
        yield
    except (ValueError, OSError) as error:  # errors of Arrow are ValueErrors
        if isinstance(error, UnicodeDecodeError) or "invalid UTF8" in str(error):
            raise _in_another_encoding(location) from error
        raise ConfigError(
            f"the manifest {location} cannot be read ({error}): write it again as Parquet or CSV"
        ) from error


def _is_csv(location: str) -> bool:
    return location.lower().endswith(".csv")


def _in_another_encoding(location: str) -> ConfigError:
    return ConfigError(
        f"the manifest {location} is neither in UTF-8 nor in UTF-16: save it as CSV UTF-8, which Excel lists "
        "among its types of files"
    )


def _dialect(head: bytes) -> tuple[str, str, int]:
    """Encoding, delimiter and lines to skip of a CSV file.

    Excel writes semicolons in some countries, or UTF-16, or the delimiter in a line before all others.
    """
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf8"
    lines = head[: len(head) // 2 * 2].decode(encoding, "replace").lstrip("\ufeff").splitlines()
    said = _SEPARATOR.fullmatch(lines[0].strip(' "')) if lines else None
    if said is not None:
        return encoding, said[1], 1
    cells = {each: [cell.strip(' "') for cell in "".join(lines[:1]).split(each)] for each in _DELIMITERS}
    return encoding, next((each for each in _DELIMITERS if PATH in cells[each]), ","), 0


class _ParquetBatches:
    """The record batches of a Parquet file."""

    def __init__(self, source: Any) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(source)
        self.schema = self._file.schema_arrow

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file.iter_batches(1024))


def joined_columns(manifests: Sequence[Manifest]) -> pa.Schema:
    """Joins the columns that come through from several manifests.

    Raises:
        ConfigError: Two of them give a column different types.
    """
    import pyarrow as pa

    try:
        return pa.unify_schemas([each.columns for each in manifests]) if manifests else pa.schema([])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ConfigError(
            f"the manifests do not go together ({error}): give columns of one name one type, or run once "
            "for each"
        ) from error
