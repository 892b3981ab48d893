"""Errors as people see them: one sentence and an exit code."""

from __future__ import annotations

import errno
from typing import Any

import typer
from typer.core import TyperGroup

from oodseg.cli.printing import say
from oodseg.core.errors import OodsegError
from oodseg.core.input_warnings import collect_warnings, shorten

_FAULT, _INTERRUPTED = 2, 130  # exit codes


class Verbs(TyperGroup):
    """Turns errors a user can fix, and Ctrl-C, into a sentence and an exit code; prints warnings."""

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
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            say("the disk is full: free some space and run the same command again", "red", stderr=True)
            raise typer.Exit(_FAULT) from error
