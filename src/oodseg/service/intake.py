"""Lets requests in: so many at once, so many of one client, so many bytes, pixels and seconds."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import IO

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from oodseg.service.meter import Meter
from oodseg.service.problems import Problem

# What `curl --data-binary` says, and what says nothing.
_UNSAID = frozenset({"", "application/octet-stream", "application/x-www-form-urlencoded"})
_LENIENT = 8  # times what is allowed
_ENVELOPE = 16_384  # bytes of a multipart body beside the file


class Admission:
    """Counts the requests that are being answered.

    Args:
        total: Most of them.
        each: Most of one client.
        meter: Is told how many there are.
    """

    def __init__(self, total: int, each: int, meter: Meter) -> None:
        self._total, self._each, self._meter = total, each, meter
        self._clients: Counter[str] = Counter()

    @asynccontextmanager
    async def enter(self, client: str) -> AsyncIterator[None]:
        """Counts a request while the block runs.

        Raises:
            Problem: There are as many as there may be.
        """
        if self._clients.total() >= self._total:
            raise Problem("overloaded", f"{self._total} requests are being answered already: try again soon")
        if self._clients[client] >= self._each:
            raise Problem(
                "too-many-requests",
                f"{self._each} requests of yours are being answered: wait for one of them",
            )
        self._clients[client] += 1
        self._meter.waiting.set(self._clients.total())
        try:
            yield
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
            self._meter.waiting.set(self._clients.total())


class Budget:
    """Bounds a sum, such as the pixels that are decoded; who comes first is served first.

    Args:
        total: The most at once. Whoever asks for more gets it alone.
    """

    def __init__(self, total: int) -> None:
        self._total, self._used = total, 0
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, amount: int) -> AsyncIterator[None]:
        """Takes an amount while the block runs, as soon as there is that much."""
        amount = min(amount, self._total)
        if self._line or self._used + amount > self._total:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._line.append((amount, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back(amount)
                else:
                    self._line.remove((amount, turn))
                    self._next()
                raise
        else:
            self._used += amount
        try:
            yield
        finally:
            self._give_back(amount)

    def _give_back(self, amount: int) -> None:
        self._used -= amount
        self._next()

    def _next(self) -> None:
        while self._line and self._used + self._line[0][0] <= self._total:
            amount, turn = self._line.popleft()
            if not turn.cancelled():
                self._used += amount
                turn.set_result(None)


async def read_upload(
    request: Request, field: str, kind: str, most: int, seconds: float, spool: int | None = None
) -> IO[bytes]:
    """Reads the one file that a request brings, as a multipart field or as its body.

    Args:
        request: The request.
        field: Name of the field.
        kind: What the file is: `"image"` or `"video"`; bodies of other types are refused.
        most: Most bytes.
        seconds: Most seconds until it is there.
        spool: Bytes kept in memory before a temporary file without a name is used; None for `most`.

    Returns:
        The file at its beginning, at the caller's to close.

    Raises:
        Problem: Too large, too slow, of another type, or not to be read.
        ClientDisconnect: The client is gone.
    """
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    multipart = form == "multipart/form-data"
    if not multipart and form not in _UNSAID and not form.startswith(f"{kind}/"):
        raise Problem(
            "unsupported-type",
            f"a body of the type {form} is no {kind}: send the file as the field '{field}' of a form, or as "
            f"the body with a Content-Type such as {'image/jpeg' if kind == 'image' else 'video/mp4'}",
        )
    limit = most + (_ENVELOPE if multipart else 0)
    try:
        async with asyncio.timeout(seconds):
            await _check_length(request, limit, most)
            body = _bounded(request, limit, most)
            spool = most if spool is None else spool
            return await (_field(request, field, body, spool) if multipart else _whole(body, spool))
    except TimeoutError:
        raise Problem("too-slow", f"the body did not come within {seconds:g} s: send it faster") from None


async def _check_length(request: Request, limit: int, most: int) -> None:
    said = request.headers.get("content-length", "0")
    if not said.isdecimal():
        raise Problem("bad-request", "Content-Length is no number")
    if int(said) > limit:
        # Clients that are still sending do not read the answer: what is not far too much is let pass by.
        if int(said) <= _LENIENT * limit:
            async for _ in request.stream():
                pass
        raise _too_large(most)


def _too_large(most: int) -> Problem:
    return Problem("too-large", f"at most {most:,} bytes are taken: send a smaller file")


async def _bounded(request: Request, limit: int, most: int) -> AsyncGenerator[bytes, None]:
    got = 0
    async for chunk in request.stream():
        got += len(chunk)
        if got > limit:
            raise _too_large(most)
        yield chunk


async def _whole(body: AsyncGenerator[bytes, None], spool: int) -> IO[bytes]:
    file = SpooledTemporaryFile(max_size=spool)  # noqa: SIM115 - the caller closes it
    try:
        async for chunk in body:
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


class _Parser(MultiPartParser):
    """Reads one file and few fields."""

    def __init__(self, request: Request, body: AsyncGenerator[bytes, None], spool: int) -> None:
        super().__init__(request.headers, body, max_files=1, max_fields=8, max_part_size=4096)
        self.spool_max_size = spool


async def _field(request: Request, field: str, body: AsyncGenerator[bytes, None], spool: int) -> IO[bytes]:
    try:
        form = await _Parser(request, body, spool).parse()
    except MultiPartException as error:
        raise Problem("bad-request", f"the form cannot be read: {error.message}") from error
    found = form.get(field)
    parameters = {each.alias for each in request.scope["route"].dependant.query_params}
    misplaced = [name for name in form if name in parameters]
    if misplaced or not isinstance(found, UploadFile):
        await form.close()
    if misplaced:
        raise Problem(
            "bad-request",
            f"the form has a field '{misplaced[0]}': parameters belong in the address, as ?{misplaced[0]}=…",
        )
    if not isinstance(found, UploadFile):
        raise Problem(
            "bad-request",
            f"the form has no file in the field '{field}': send one, as curl does with --form {field}=@FILE",
        )
    return found.file


async def gone(request: Request) -> None:
    """Waits until a client whose body was read breaks off.

    Raises:
        ClientDisconnect: It did.
    """
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise ClientDisconnect
