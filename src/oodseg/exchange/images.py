"""Puts images beside their labels, and finds them there again."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Literal

from oodseg.core.errors import ConfigError, ImageError
from oodseg.core.files import atomic_path
from oodseg.exchange.labels import LabelledImage
from oodseg.io.formats import SUFFIXES
from oodseg.io.images import load_image, read_header

Placement = Literal["copy", "link", "none"]
_DRIVE = re.compile("[A-Za-z]:")
_FOLDERS = ("images", "", "data", "images/default")


def place_image(image: LabelledImage, target: Path, placement: Placement) -> None:
    """Puts an image where its labels expect it.

    An image that EXIF turns is written upright, because tools differ in whether they turn it.

    Args:
        image: It knows where it lies.
        target: Where it belongs; missing folders are made.
        placement: `"copy"`, `"link"` (a symbolic link) or `"none"`.

    Raises:
        ImageError: The image is gone.
        OodsegError: It cannot be written.
    """
    if placement == "none":
        return
    if image.path is None or not image.path.is_file():
        raise ImageError(
            f"the image {image.path or image.name} is gone: put it back, or leave images out (--images none)"
        )
    if target.exists() and os.path.samefile(target, image.path):
        return
    with atomic_path(target) as temporary:
        if _is_turned(image.path):
            _write_upright(image.path, temporary, target.suffix)
        elif placement == "link":
            temporary.symlink_to(image.path.resolve())
        else:
            shutil.copyfile(image.path, temporary)


def check_names(images: list[LabelledImage]) -> None:
    """Checks that every image has a name of its own that stays within the folder, whatever its suffix.

    Raises:
        ConfigError: One has not.
    """
    seen: dict[str, str] = {}
    for image in images:
        parts = PurePosixPath(image.name)
        if parts.is_absolute() or ".." in parts.parts or not parts.name:
            raise ConfigError(
                f"'{image.name}' cannot name an image: use a path below the folder of all images"
            )
        other = seen.setdefault(image.stem.casefold(), image.name)
        if other is not image.name:
            raise ConfigError(
                f"{other} and {image.name} differ in nothing but suffix or case, and so would their labels: "
                "rename one of them"
            )


def find_image(root: Path, name: str, *folders: str) -> Path | None:
    """Finds the image that labels are for, whatever its suffix (tools often convert), in capitals or not.

    Args:
        root: Folder of the labels.
        name: Of the image, as the labels have it.
        folders: Where below `root` to look first.
    """
    suffixes = [form for suffix in sorted(SUFFIXES) for form in (suffix, suffix.upper())]
    # Accents may be spelt in two ways, and file systems differ in that.
    spellings = dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))))
    for folder in dict.fromkeys((*folders, *_FOLDERS)):
        for path in (root / folder / spelling for spelling in spellings):
            for each in (path, *(path.with_suffix(suffix) for suffix in suffixes)):
                if each.is_file():
                    return each
    return None


def name_in_labels(name: str) -> str:
    """Returns the name of an image as labels have it: with `/`, and alone where it is a path of elsewhere."""
    path = PurePosixPath(name.replace("\\", "/"))
    elsewhere = path.is_absolute() or ".." in path.parts or _DRIVE.fullmatch(path.parts[0]) is not None
    return path.name if elsewhere else path.as_posix()


def size_of(path: Path) -> tuple[int, int]:
    """Returns the height and width of an image, upright, from its header.

    Raises:
        ImageError: It cannot be read.
    """
    return read_header(path).shape


def _is_turned(path: Path) -> bool:
    try:
        return read_header(path).orientation != 1
    except ImageError:  # copied as it is; whoever opens it will complain
        return False


def _write_upright(path: Path, target: Path, suffix: str) -> None:
    from PIL import Image

    kind = Image.registered_extensions().get(suffix.lower(), "PNG")
    load_image(path).save(target, format=kind, quality=95)
