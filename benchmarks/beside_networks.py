"""Tells how many processor seconds a command of oodseg spends beside its networks, imports included.

    python benchmarks/beside_networks.py evaluate DATA/benchmarks_dev/* --threads 1

Runs the command that follows and prints its processor seconds: all of them, and those within calls of
networks. With one thread alone both can be told apart; what else the machine does counts for little.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from typing import Any

import torch
from torch import nn

from oodseg.cli.main import main

_INSIDE = threading.local()
_PLAIN = nn.Module.__call__
_SPENT: list[float] = []


def timed(module: nn.Module, *args: Any, **options: Any) -> Any:
    """Calls a module; the time counts if no other one has called it."""
    if getattr(_INSIDE, "any", False):
        return _PLAIN(module, *args, **options)
    _INSIDE.any, began = True, time.thread_time()
    try:
        return _PLAIN(module, *args, **options)
    finally:
        _INSIDE.any = False
        _SPENT.append(time.thread_time() - began)


def show() -> None:
    """Prints what was counted."""
    total, inside = time.process_time(), sum(_SPENT)
    print(f"{total:.1f} s, of which {inside:.1f} s in networks and {total - inside:.1f} s beside them")


if __name__ == "__main__":
    if len(sys.argv) == 1 or sys.argv[1] in {"-h", "--help"}:
        print(__doc__)
        sys.exit()
    torch.set_num_threads(1)
    nn.Module.__call__ = timed  # type: ignore[method-assign]
    atexit.register(show)
    sys.argv[0] = "oodseg"
    main()
