"""Sets how memory is allocated where the same large tensors are made again and again."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # malloc.h
_LARGE = 2**31 - 1


def keep_freed_memory() -> bool:
    """Makes glibc keep freed memory for the next image, rather than give it back to the system: for programs.

    A network at full size frees hundreds of megabytes per image. Mapped anew every time, they cost a page
    fault per 4 KiB: a tenth to a quarter of the processor time on a CPU. The process stays as large as its
    largest image made it. All threads share one heap, because those of further ones are too small for this.

    Returns:
        Whether the C library understood; others are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # neither glibc nor anything like it
        return False
    wanted = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _LARGE), (_TOP_PAD, 2**26))
    return 0 not in [mallopt(option, value) for option, value in wanted]
