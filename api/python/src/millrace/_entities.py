"""What a client returns: it reads what the server has under its id."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from . import _resources as res
from ._calls import Call, create, get, obj
from ._display import Progress
from ._errors import EndedError, MillraceError, VersionError
from ._frames import As, plain
from ._sending import Sender
from ._stream import Event

L = TypeVar("L", bound="_Lasting")

WAIT = 30.0
"""Seconds that one waiting read asks the server for."""


class _Lasting(res.Lasting):
    _client: Sender

    def refresh(self: L) -> L:
        """Read it again."""
        self.data = self._client._send(self._read())
        return self

    def events(self) -> Iterator[Event]:
        """Its events, live, until it has ended: first its state. The stream resumes by itself."""
        return self._client._events(f"{self.path}/{self.id}/events", {}, None)

    def cancel(self: L) -> L:
        self.data = self._client._send(Call("POST", f"{self.path}/{self.id}/cancel", obj))
        return self

    def retry(self: L, *, key: str | None = None) -> L:
        """Have it run again after it failed or was cancelled, once for each key; what it has found stays."""
        self.data = self._client._send(create(f"{self.path}/{self.id}/retry", {}, key))
        return self

    def wait(self: L, timeout: float | None = None, *, progress: bool = False, check: bool = True) -> L:
        """Wait for the end. With ``progress`` it is shown meanwhile; without ``check`` a failure is not raised.

        TimeoutError is raised after ``timeout`` seconds, and the work continues.
        """
        shown = Progress(progress)
        try:
            self._wait(None if timeout is None else time.monotonic() + timeout, shown)
        finally:
            shown.close()
        if check and self.failed:
            raise EndedError(self._why(), self)
        return self

    def _wait(self, until: float | None, shown: Progress) -> None:
        following = shown.on and not self.ended and until is None
        if following:
            try:
                for event in self.events():
                    self._take(event.payload if event.type.startswith(self._prefix) else {})
                    shown.show(self)
            except VersionError:
                pass  # an older server: ask it instead
        while True:
            left = WAIT if until is None else min(WAIT, until - time.monotonic())
            if left <= 0 and not self.ended:
                raise TimeoutError(f"{self!r} has not ended")
            asked = time.monotonic()
            self.data = self._client._send(self._read(wait=0 if self.ended else max(left, 1)))
            shown.show(self)
            if self.ended:
                self._finished()
                return
            if time.monotonic() - asked < min(left, 1.0) / 2:
                time.sleep(min(0.5, left))  # a server that does not know how to wait

    _prefix = ""

    def _finished(self) -> None:
        """Called once it has ended."""


class Tune(_Lasting, res.TuneData):
    """A tune: its trials, leaderboard, and what its best trial does."""

    _prefix = "backtest.tune."

    def leaderboard(self, to: As | None = None, limit: int = 1000) -> Any:
        """The best trials: a column a parameter, and the figures in and out of sample."""
        return self._client._send(self._table("leaderboard", to, limit=limit))

    def trials(self, to: As | None = None, status: str | None = None) -> Any:
        """All trials, by index."""
        return self._client._send(self._table("trials", to, status=status))

    def best_run(self) -> Run:
        """The best trial run again on all bars."""
        return Run(self._client, self._client._send(self._best()))

    def equity(self, to: As | None = None) -> Any:
        """The equity of the best trial at each bar's close, on all bars."""
        run = self.best_run()
        return run.equity(to)

    def trades(self, to: As | None = None) -> Any:
        """The trades of the best trial, on all bars."""
        run = self.best_run()
        return run.trades(to)

    def manifest(self) -> dict[str, Any]:
        """What it was made of, and the hashes of what it found."""
        return self._client._send(get(f"{self.path}/{self.id}/manifest"))

    def export(self, to: str | os.PathLike[str]) -> Path:
        """Write the tune with its data into one file, which `millrace reproduce` reads."""
        return self._client._send(self._file("export", to))

    def _finished(self) -> None:
        if self.status == "completed" and len(self.best_params or {}) >= 2 and int(self.data.get("n_trials") or 0) <= 20_000:
            try:
                self._cells = self.trials("dicts")
            except MillraceError:
                self._cells = None  # the heat map is an extra


class WalkForward(_Lasting, res.WalkForwardData):
    """A walk-forward: its folds, candidates and stitched out-of-sample equity."""

    _prefix = "wfo.run."

    def candidates(self, to: As | None = None, limit: int = 1000) -> Any:
        return self._client._send(self._table("candidates", to, limit=limit))

    leaderboard = candidates

    def equity(self, to: As | None = None, *, dataset: str | None = None) -> Any:
        """The stitched out-of-sample equity; of several datasets that of all together, or of one by its name."""
        return self._client._send(self._table("equity", to, index="time", dataset=dataset))

    def manifest(self) -> dict[str, Any]:
        return self._client._send(get(f"{self.path}/{self.id}/manifest"))


class Ingestion(_Lasting, res.IngestionData):
    """A document on its way into the knowledge base."""

    _prefix = "ingestion.job."


class Run(res.RunData):
    """One backtest."""

    _client: Sender

    def trades(self, to: As | None = None) -> Any:
        return self._client._send(self._table("trades", to, format=plain(to)))

    def equity(self, to: As | None = None) -> Any:
        return self._client._send(self._table("equity", to, index="time"))

    def returns(self, to: As | None = None) -> Any:
        return self._client._send(self._table("returns", to, index="time"))


class Dataset(res.Dataset):
    _client: Sender

    def bars(self, to: As | None = None) -> Any:
        return self._client._send(self._table("bars", to, index="time"))
