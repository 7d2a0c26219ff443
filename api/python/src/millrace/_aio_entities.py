"""The client for asyncio, made of _entities.py by make_async.py: edit that."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

from . import _resources as res
from ._calls import Call, create, get, obj
from ._display import Progress
from ._errors import EndedError, MillraceError, VersionError
from ._frames import As, plain
from ._aio_sending import AsyncSender
from ._stream import Event

L = TypeVar("L", bound="_Lasting")

WAIT = 30.0
"""Seconds that one waiting read asks the server for."""


class _Lasting(res.Lasting):
    _client: AsyncSender

    async def refresh(self: L) -> L:
        """Read it again."""
        self.data = await self._client._send(self._read())
        return self

    def events(self) -> AsyncIterator[Event]:
        """Its events, live, until it has ended: first its state. The stream resumes by itself."""
        return self._client._events(f"{self.path}/{self.id}/events", {}, None)

    async def cancel(self: L) -> L:
        self.data = await self._client._send(Call("POST", f"{self.path}/{self.id}/cancel", obj))
        return self

    async def retry(self: L, *, key: str | None = None) -> L:
        """Have it run again after it failed or was cancelled, once for each key; what it has found stays."""
        self.data = await self._client._send(create(f"{self.path}/{self.id}/retry", {}, key))
        return self

    async def wait(self: L, timeout: float | None = None, *, progress: bool = False, check: bool = True) -> L:
        """Wait for the end. With ``progress`` it is shown meanwhile; without ``check`` a failure is not raised.

        TimeoutError is raised after ``timeout`` seconds, and the work continues.
        """
        shown = Progress(progress)
        try:
            await self._wait(None if timeout is None else time.monotonic() + timeout, shown)
        finally:
            shown.close()
        if check and self.failed:
            raise EndedError(self._why(), self)
        return self

    async def _wait(self, until: float | None, shown: Progress) -> None:
        following = shown.on and not self.ended and until is None
        if following:
            try:
                async for event in self.events():
                    self._take(event.payload if event.type.startswith(self._prefix) else {})
                    shown.show(self)
            except VersionError:
                pass  # an older server: ask it instead
        while True:
            left = WAIT if until is None else min(WAIT, until - time.monotonic())
            if left <= 0 and not self.ended:
                raise TimeoutError(f"{self!r} has not ended")
            asked = time.monotonic()
            self.data = await self._client._send(self._read(wait=0 if self.ended else max(left, 1)))
            shown.show(self)
            if self.ended:
                await self._finished()
                return
            if time.monotonic() - asked < min(left, 1.0) / 2:
                await asyncio.sleep(min(0.5, left))  # a server that does not know how to wait

    _prefix = ""

    async def _finished(self) -> None:
        """Called once it has ended."""


class AsyncTune(_Lasting, res.TuneData):
    """A tune: its trials, leaderboard, and what its best trial does."""

    _prefix = "backtest.tune."

    async def leaderboard(self, to: As | None = None, limit: int = 1000) -> Any:
        """The best trials: a column a parameter, and the figures in and out of sample."""
        return await self._client._send(self._table("leaderboard", to, limit=limit))

    async def trials(self, to: As | None = None, status: str | None = None) -> Any:
        """All trials, by index."""
        return await self._client._send(self._table("trials", to, status=status))

    async def best_run(self) -> AsyncRun:
        """The best trial run again on all bars."""
        return AsyncRun(self._client, await self._client._send(self._best()))

    async def equity(self, to: As | None = None) -> Any:
        """The equity of the best trial at each bar's close, on all bars."""
        run = await self.best_run()
        return await run.equity(to)

    async def trades(self, to: As | None = None) -> Any:
        """The trades of the best trial, on all bars."""
        run = await self.best_run()
        return await run.trades(to)

    async def manifest(self) -> dict[str, Any]:
        """What it was made of, and the hashes of what it found."""
        return await self._client._send(get(f"{self.path}/{self.id}/manifest"))

    async def export(self, to: str | os.PathLike[str]) -> Path:
        """Write the tune with its data into one file, which `millrace reproduce` reads."""
        return await self._client._send(self._file("export", to))

    async def _finished(self) -> None:
        if self.status == "completed" and len(self.best_params or {}) >= 2 and int(self.data.get("n_trials") or 0) <= 20_000:
            try:
                self._cells = await self.trials("dicts")
            except MillraceError:
                self._cells = None  # the heat map is an extra


class AsyncWalkForward(_Lasting, res.WalkForwardData):
    """A walk-forward: its folds, candidates and stitched out-of-sample equity."""

    _prefix = "wfo.run."

    async def candidates(self, to: As | None = None, limit: int = 1000) -> Any:
        return await self._client._send(self._table("candidates", to, limit=limit))

    leaderboard = candidates

    async def equity(self, to: As | None = None, *, dataset: str | None = None) -> Any:
        """The stitched out-of-sample equity; of several datasets that of all together, or of one by its name."""
        return await self._client._send(self._table("equity", to, index="time", dataset=dataset))

    async def manifest(self) -> dict[str, Any]:
        return await self._client._send(get(f"{self.path}/{self.id}/manifest"))


class AsyncIngestion(_Lasting, res.IngestionData):
    """A document on its way into the knowledge base."""

    _prefix = "ingestion.job."


class AsyncRun(res.RunData):
    """One backtest."""

    _client: AsyncSender

    async def trades(self, to: As | None = None) -> Any:
        return await self._client._send(self._table("trades", to, format=plain(to)))

    async def equity(self, to: As | None = None) -> Any:
        return await self._client._send(self._table("equity", to, index="time"))

    async def returns(self, to: As | None = None) -> Any:
        return await self._client._send(self._table("returns", to, index="time"))


class AsyncDataset(res.Dataset):
    _client: AsyncSender

    async def bars(self, to: As | None = None) -> Any:
        return await self._client._send(self._table("bars", to, index="time"))
