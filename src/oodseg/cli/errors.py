"""Errors as people see them: one sentence and an exit code."""

from __future__ import annotations

import errno
import os
from typing import Any

import typer
from typer.core import TyperGroup

from oodseg.cli.printing import say
from oodseg.core.errors import OodsegError
from oodseg.core.input_warnings import collect_warnings, shorten

_FAULT, _INTERRUPTED = 2, 130  # exit codes
_FULL = {errno.ENOSPC, errno.EDQUOT}
# What the machine refuses, wherever it happens; any other error of the system is one of ours.
_REMEDIES = {
    **dict.fromkeys(_FULL, "free some space and run the same command again"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "check the permissions, or choose another place"),
    errno.EROFS: "choose a place that can be written to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "mend the links",
    errno.ENOTDIR: "choose a folder, not a file",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "close other programs, or raise the limit (ulimit -n)"),
    **dict.fromkeys((errno.EIO, errno.ESTALE), "check the disk or the network, and run it again"),
    errno.ENOMEM: "close other programs, or take smaller images",
}


class Verbs(TyperGroup):
    """Turns errors a user can fix, and Ctrl-C, into a sentence and an exit code; prints warnings."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the command line; refuses an empty argument, which would mean the working folder."""
        for number, each in enumerate(args):
            if each == "" or (each.startswith("--") and each.find("=") == len(each) - 1):
                before = args[number - 1] if not each and number and args[number - 1].startswith("-") else ""
                where = each.rstrip("=") or before or "one of the arguments"
                say(f"{where} is empty: check the variables of your shell", "red", stderr=True)
                raise typer.Exit(_FAULT)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs a verb."""
        with collect_warnings(forward=False) as warned:
            try:
                return self._answer(ctx)
            finally:
                for sentence in shorten(warned):
                    say(f"note: {sentence}", "yellow", stderr=True)

    def _answer(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OodsegError as error:
            say(str(error), "red", stderr=True)
            raise typer.Exit(_FAULT) from error
        except KeyboardInterrupt as error:
            say(str(error) or "interrupted: every file written so far is whole", "red", stderr=True)
            raise typer.Exit(_INTERRUPTED) from error
        except OSError as error:
            if error.errno not in _REMEDIES:
                raise
            say(f"{_place(error)}: {_REMEDIES[error.errno]}", "red", stderr=True)
            raise typer.Exit(_FAULT) from error
        except MemoryError as error:
            say(
                "there is not enough memory: take smaller images or a smaller --size, or close programs",
                "red",
                stderr=True,
            )
            raise typer.Exit(_FAULT) from error


def _place(error: OSError) -> str:
    """Names the file of an error, if it has one, and the fault."""
    fault = "the disk is full" if error.errno in _FULL else (error.strerror or str(error))
    return fault if error.filename is None else f"{os.fsdecode(error.filename)}: {fault}"
