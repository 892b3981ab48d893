"""Opens image files, and says in a sentence why one cannot be opened."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from oodseg.core.errors import ImageError

_bomb_check = threading.Lock()


def open_image_file(path: Path) -> BinaryIO:
    """Opens an image file for reading.

    Raises:
        ImageError: Missing, a folder, a pipe, empty, a link that leads nowhere, or not to be read.
    """
    if os.path.isdir(path):  # unlike Path.is_dir silent about names that no file system can hold
        raise ImageError(f"{path} is a folder, not an image: name an image inside it")
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe would have to be waited for
            raise ImageError(f"{path} is a pipe or a device, not a file: name an image")
        if about.st_size == 0:
            raise ImageError(f"{path} is empty (0 bytes): copy or download it again")
        return path.open("rb")
    except OSError as error:
        raise ImageError(_fault(path, error)) from error


def _fault(path: Path, error: OSError) -> str:
    lost = isinstance(error, FileNotFoundError) or error.errno == errno.ELOOP
    if lost and os.path.islink(path):
        return f"{path} is a link to {os.readlink(path)}, where no file is: mend the link, or remove it"
    if isinstance(error, FileNotFoundError):
        return f"{path} does not exist: check the path for typing errors"
    return f"{path} cannot be opened ({error.strerror or error}): check its permissions"


@contextmanager
def without_bomb_check() -> Iterator[None]:
    """Switches off Pillow's own limit while a header is read: ours is lower and says what to do."""
    from PIL import Image

    with _bomb_check:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
