"""The client for asyncio, made of client.py by make_async.py: edit that."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from . import _resources as res
from ._calls import Call, create, get, obj, pauses, retry_after, temporary
from ._config import Config, from_env
from ._display import Progress
from ._errors import APIError, EndedError, MillraceError, UnreachableError, VersionError
from ._frames import As, plain
from ._lifecycle import archival, bulk_change, deletion
from ._resources import Answer, Recommendation, Reproduction, Space
from ._schedules import new_schedule, schedule_change, schedule_deletion, schedule_run, schedule_slots
from ._stream import Event, Lines, decode
from ._version import __version__
from ._webhooks import new_webhook, webhook_change, webhook_deletion, webhook_deliveries, webhook_redelivery, webhook_rotation, webhook_test

T = TypeVar("T")
L = TypeVar("L", bound="_Lasting")

WAIT = 30.0
"""Seconds that one waiting read asks the server for."""


class AsyncClient:
    """Speaks to one server with one key.

    A request that fails for a reason that passes (no connection, a server that restarts, a limit) is sent
    again for up to ``patience`` seconds, with the same idempotency key, so that it has one effect.
    """

    def __init__(self, url: str, key: str, workspace: str | None = None, *, patience: float = 120.0, timeout: float = 300.0,
                 transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.config = Config(url.rstrip("/"), key, workspace)
        self.patience = patience
        self._http = httpx.AsyncClient(base_url=self.config.url, timeout=httpx.Timeout(timeout, connect=10.0), transport=transport,
                                  headers=_headers(self.config), follow_redirects=False)

    @classmethod
    def from_env(cls, env_file: str | os.PathLike[str] | None = None, **options: Any) -> AsyncClient:
        """Read MILLRACE_URL, MILLRACE_API_KEY and MILLRACE_WORKSPACE_ID, or the dev.env of `millrace dev`."""
        config = from_env(env_file)
        return cls(config.url, config.key, config.workspace, **options)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.config.url}>"

    async def _send(self, call: Call[T]) -> T:
        waits = pauses(self.patience)
        while True:
            answer: httpx.Response | None = None
            failed: Exception | None = None
            try:
                answer = await self._http.request(**call.request())
                if not temporary(answer):
                    return call.answer(answer)
            except httpx.TransportError as err:
                failed = err
            wait = next(waits, None)
            if wait is None:
                raise call.error(answer) if answer is not None else call.unreachable(failed, self.patience)
            await asyncio.sleep(retry_after(answer, wait))

    async def server_version(self) -> str:
        found = await self._send(get("/version"))
        return str(found.get("version"))

    # Data.

    async def upload(self, frame: Any, name: str, *, symbol: str | None = None, timeframe: str | None = None, **options: Any) -> AsyncDataset:
        """Store bars under a name: a DataFrame of pandas or polars, an Arrow table, bytes, or the path of a file.

        The frame has open, high, low, close and perhaps volume, and times as its index or a column. The same
        bars under the same name are the same dataset. ``options`` are the fields of POST /datasets, such as
        ``calendar=365`` or ``time_zone="America/New_York"``.
        """
        return AsyncDataset(self, await self._send(res.upload(frame, name, symbol, {"timeframe": timeframe, **options})))

    async def datasets(self) -> list[AsyncDataset]:
        return [AsyncDataset(self, d) async for d in self._pages("/datasets", limit=500)]

    async def _pages(self, path: str, **query: Any) -> AsyncIterator[dict[str, Any]]:
        cursor = None
        while True:
            page = await self._send(get(path, cursor=cursor, **query))
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return

    # Work.

    async def tune(self, dataset: Any, strategy: str, space: Space | None = None, *, search: str | None = None, n_trials: int | None = None,
             objective: str | None = None, constraints: list[str] | None = None, oos_ratio: float | None = None, seed: int | None = None,
             gates: dict[str, Any] | None = None, key: str | None = None, **options: Any) -> AsyncTune:
        """Submit a tune. ``options`` are further members of POST /backtests/tune, such as ``account`` or ``stops``."""
        body = res.spec(dataset, strategy, space, {"search": search, "n_trials": n_trials, "objective": objective, "constraints": constraints,
                                                   "oos_ratio": oos_ratio, "seed": seed, "gates": gates, **options})
        return AsyncTune(self, await self._send(create("/backtests/tune", body, key)))

    async def walk_forward(self, dataset: Any, strategy: str, space: Space | None = None, *, train_days: int, test_days: int, step_days: int | None = None,
                     anchored: bool | None = None, min_folds: int | None = None, search: str | None = None, n_trials: int | None = None,
                     objective: str | None = None, constraints: list[str] | None = None, seed: int | None = None, gates: dict[str, Any] | None = None,
                     key: str | None = None, wfo_config: dict[str, Any] | None = None, **options: Any) -> AsyncWalkForward:
        """Submit a walk-forward: a tune for each training window, judged on the test window after it.

        ``dataset`` may be a list of several, of which ``aggregate="mean"``, ``"median"`` or ``"worst"`` of the figures counts.
        """
        config = {"train_days": train_days, "test_days": test_days, "step_days": step_days, "anchored": anchored, "min_folds": min_folds, **(wfo_config or {})}
        body = res.spec(dataset, strategy, space, {"search": search, "n_trials": n_trials, "objective": objective, "constraints": constraints, "seed": seed,
                                                   "gates": gates, "wfo_config": {k: v for k, v in config.items() if v is not None}, **options})
        return AsyncWalkForward(self, await self._send(create("/backtests/wfo", body, key)))

    async def run(self, dataset: Any, strategy: str, params: dict[str, float] | None = None, *, key: str | None = None, **options: Any) -> AsyncRun:
        """AsyncRun one backtest. ``options`` are further members of POST /backtests/run."""
        body = {"dataset": res.dataset_name(dataset), "strategy_name": strategy, "params": params or {}, **options}
        return AsyncRun(self, await self._send(create("/backtests/run", {k: v for k, v in body.items() if v is not None}, key)))

    async def ingest(self, source: str | os.PathLike[str], *, text: str | None = None, key: str | None = None, **options: Any) -> AsyncIngestion:
        """Ingest an address, a file, or a ``text`` that is known as ``source``."""
        return AsyncIngestion(self, await self._send(res.ingest(source, text, options, key)))

    async def ask(self, question: str, *, top_k: int | None = None, **options: Any) -> Answer:
        """Ask the documents: an answer with the passages that it cites."""
        body = {"question": question, "top_k": top_k, **options}
        return Answer(await self._send(Call("POST", "/query", obj, body={k: v for k, v in body.items() if v is not None})))

    async def recommend(self, strategy: str, dataset: Any = None, **options: Any) -> Recommendation:
        """Parameters that past trials in a market like the end of the dataset recommend."""
        body = {"strategy_name": strategy, "dataset": res.dataset_name(dataset) if dataset is not None else None, **options}
        return Recommendation(await self._send(Call("POST", "/kb/recommend", obj, body={k: v for k, v in body.items() if v is not None})))

    async def reproduce(self, tune: AsyncTune, *, progress: bool = False) -> Reproduction:
        """Make a tune again from its manifest, and compare the hashes of the two results."""
        first = await tune.manifest()
        again = AsyncTune(self, await self._send(create("/backtests/tune", tune._again(first), None)))
        await again.wait(progress=progress)
        return Reproduction(again, first, await again.manifest())

    async def leaderboard(self, to: As | None = None, **filters: Any) -> Any:
        """The workspace's best trials under one objective, as a table."""
        return await self._send(res.Entity._table(_At("/backtests", "leaderboard"), "", to, **{"limit": 1000, **filters}))

    # What there is already.

    async def get_tune(self, id: str) -> AsyncTune:
        return await AsyncTune(self, {"tune_id": id}).refresh()

    async def get_walk_forward(self, id: str) -> AsyncWalkForward:
        return await AsyncWalkForward(self, {"wfo_id": id}).refresh()

    async def get_run(self, id: str) -> AsyncRun:
        run = AsyncRun(self, {"run_id": id})
        run.data = await self._send(run._read())
        return run

    async def get_ingestion(self, id: str) -> AsyncIngestion:
        return await AsyncIngestion(self, {"job_id": id}).refresh()

    async def tunes(self, **filters: Any) -> list[AsyncTune]:
        return [AsyncTune(self, t) async for t in self._pages("/backtests/tunes", limit=200, **filters)]

    async def delete(self, kind: str, id: str, *, cascade: bool = False, dry_run: bool = False, versions: str | None = None) -> dict[str, Any]:
        """Delete a tune, wfo, run_plan, run, dataset, document or strategy; ``dry_run`` reads what would go."""
        return await self._send(deletion(kind, id, cascade, dry_run, versions))

    async def archive(self, kind: str, id: str, *, restore: bool = False) -> dict[str, Any]:
        """Take something of a kind out of the lists, or put it back with ``restore``."""
        return await self._send(archival(kind, id, restore))

    async def bulk(self, kind: str, action: str, *tags: str, cascade: bool = False, confirm: int | None = None, **filters: Any) -> dict[str, Any]:
        """Cancel, delete, archive, restore, tag or untag all that filters find; without ``confirm``, count them."""
        return await self._send(bulk_change(kind, action, filters, tags, cascade, confirm))

    async def schedule(self, name: str, kind: str, request: dict[str, Any], *, cron: str | None = None, time_zone: str | None = None,
                 on_new_bars: str | None = None, missed: str | None = None, paused: bool = False, key: str | None = None) -> dict[str, Any]:
        """Submit a tune, wfo or ingestion by a cron line in a time zone, or at every new version of a dataset."""
        return await self._send(new_schedule(name, kind, request, cron, time_zone, on_new_bars, missed, paused, key))

    async def schedules(self) -> list[dict[str, Any]]:
        """The schedules with their next slot and last run, newest first."""
        return [s async for s in self._pages("/schedules", limit=200)]

    async def change_schedule(self, id: str, **changes: Any) -> dict[str, Any]:
        """Pause or resume a schedule (``paused=True``), or change its name, cron, time_zone or missed_policy."""
        return await self._send(schedule_change(id, changes))

    async def run_schedule(self, id: str, *, key: str | None = None) -> dict[str, Any]:
        """AsyncRun a schedule now, once for each key."""
        return await self._send(schedule_run(id, key))

    async def schedule_history(self, id: str, limit: int = 50) -> list[dict[str, Any]]:
        """The newest runs of a schedule and what changed from one to the next, newest first."""
        return await self._send(schedule_slots(id, limit))

    async def delete_schedule(self, id: str) -> None:
        """Delete a schedule and its history; what it has submitted continues."""
        await self._send(schedule_deletion(id))

    async def add_webhook(self, url: str, *, topics: Sequence[str] = (), types: Sequence[str] = (), entity_id: str = "", label: str = "",
                    description: str = "", key: str | None = None) -> dict[str, Any]:
        """Have events posted to an address. The answer holds the ``secret`` that signs them, this once."""
        return await self._send(new_webhook(url, topics, types, entity_id, label, description, key))

    async def webhooks(self) -> list[dict[str, Any]]:
        """The webhooks and how each goes, newest first."""
        return [w async for w in self._pages("/webhooks", limit=200)]

    async def change_webhook(self, id: str, **changes: Any) -> dict[str, Any]:
        """Change what is named of a webhook; ``state="paused"`` pauses it and ``state="active"`` resumes it where it was."""
        return await self._send(webhook_change(id, changes))

    async def rotate_webhook(self, id: str, *, overlap_seconds: int = 86400, key: str | None = None) -> dict[str, Any]:
        """Give a webhook another ``secret``; the old one signs too for so long."""
        return await self._send(webhook_rotation(id, overlap_seconds, key))

    async def test_webhook(self, id: str, *, key: str | None = None) -> dict[str, Any]:
        """Have a test message sent."""
        return await self._send(webhook_test(id, key))

    async def webhook_deliveries(self, id: str, limit: int = 50, state: str | None = None) -> list[dict[str, Any]]:
        """The newest messages of a webhook and how the attempts at them went, newest first."""
        return await self._send(webhook_deliveries(id, limit, state))

    async def redeliver(self, id: str, delivery: str, *, key: str | None = None) -> dict[str, Any]:
        """Have a message sent again, with its id."""
        return await self._send(webhook_redelivery(id, delivery, key))

    async def delete_webhook(self, id: str) -> None:
        """Delete a webhook and its deliveries."""
        await self._send(webhook_deletion(id))

    def events(self, *topics: str, after: str | None = None) -> AsyncIterator[Event]:
        """The workspace's events, live and without end. The stream resumes by itself; a ``reset`` event says
        that some were missed for good."""
        return self._events("/events/stream", {"topics": ",".join(topics) or None}, after)

    async def _events(self, path: str, query: dict[str, Any], after: str | None) -> AsyncIterator[Event]:
        lines = Lines()
        lines.last_id = after or ""
        waits = pauses(self.patience)
        while True:
            failed: Exception | None = None
            answer: httpx.Response | None = None
            call = Call("GET", path, obj, params=query)
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": lines.last_id} if lines.last_id else {})}
            try:
                async with self._http.stream("GET", path, params={k: v for k, v in query.items() if v is not None}, headers=headers,
                                       timeout=httpx.Timeout(10.0, read=45.0)) as answer:
                    if answer.status_code == 204:
                        return
                    if answer.status_code != 200:
                        await answer.aread()
                        if not temporary(answer):
                            raise call.error(answer)
                    else:
                        lines.last_id = lines.last_id or answer.headers.get("last-event-id", "")
                        kept = Lines()
                        kept.last_id = lines.last_id
                        async for line in answer.aiter_lines():
                            waits = pauses(self.patience)
                            frame = kept.feed(line)
                            if frame is None:
                                continue
                            event, lines.last_id = decode(frame), kept.last_id
                            if event.type == "end":
                                return
                            if event.type != "cursor":
                                yield event
            except httpx.TransportError as err:
                failed = err
            wait = next(waits, None)
            if wait is None:
                raise call.error(answer) if answer is not None and answer.status_code != 200 else call.unreachable(failed, self.patience)
            await asyncio.sleep(retry_after(answer, wait))


def _headers(config: Config) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {config.key}", "User-Agent": f"millrace-python/{__version__}"}
    if config.workspace:
        headers["X-Workspace-Id"] = config.workspace
    return headers


class _At(res.Entity):
    """The place of a table that belongs to no entity."""

    def __init__(self, path: str, id: str) -> None:
        super().__init__(None, {})
        self.path, self._id = path, id

    @property
    def id(self) -> str:
        return self._id


class _Lasting(res.Lasting):
    _client: AsyncClient

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

    _client: AsyncClient

    async def trades(self, to: As | None = None) -> Any:
        return await self._client._send(self._table("trades", to, format=plain(to)))

    async def equity(self, to: As | None = None) -> Any:
        return await self._client._send(self._table("equity", to, index="time"))

    async def returns(self, to: As | None = None) -> Any:
        return await self._client._send(self._table("returns", to, index="time"))


class AsyncDataset(res.Dataset):
    _client: AsyncClient

    async def bars(self, to: As | None = None) -> Any:
        return await self._client._send(self._table("bars", to, index="time"))


__all__ = ["APIError", "AsyncClient", "AsyncDataset", "AsyncIngestion", "AsyncRun", "AsyncTune", "UnreachableError", "AsyncWalkForward"]
