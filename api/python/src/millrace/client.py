"""The client for scripts and notebooks. Its twin for asyncio is :class:`millrace.AsyncClient`."""

from __future__ import annotations

import os
from typing import Any

from . import _resources as res
from ._calls import Call, create, get, obj
from ._entities import Dataset, Ingestion, Run, Tune, WalkForward
from ._errors import APIError, UnreachableError
from ._frames import As
from ._manage import Manager
from ._resources import Answer, Recommendation, Reproduction, Space


class Client(Manager):
    """Speaks to one server with one key.

    A request that fails for a reason that passes (no connection, a server that restarts, a limit) is sent
    again for up to ``patience`` seconds, with the same idempotency key, so that it has one effect.
    """

    def server_version(self) -> str:
        found = self._send(get("/version"))
        return str(found.get("version"))

    # Data.

    def upload(self, frame: Any, name: str, *, symbol: str | None = None, timeframe: str | None = None, **options: Any) -> Dataset:
        """Store bars under a name: a DataFrame of pandas or polars, an Arrow table, bytes, or the path of a file.

        The frame has open, high, low, close and perhaps volume, and times as its index or a column. The same
        bars under the same name are the same dataset. ``options`` are the fields of POST /datasets, such as
        ``calendar=365`` or ``time_zone="America/New_York"``.
        """
        return Dataset(self, self._send(res.upload(frame, name, symbol, {"timeframe": timeframe, **options})))

    def datasets(self) -> list[Dataset]:
        return [Dataset(self, d) for d in self._pages("/datasets", limit=500)]

    # Work.

    def tune(self, dataset: Any, strategy: str, space: Space | None = None, *, search: str | None = None, n_trials: int | None = None,
             objective: str | None = None, constraints: list[str] | None = None, oos_ratio: float | None = None, seed: int | None = None,
             gates: dict[str, Any] | None = None, key: str | None = None, **options: Any) -> Tune:
        """Submit a tune. ``options`` are further members of POST /backtests/tune, such as ``account`` or ``stops``."""
        body = res.spec(dataset, strategy, space, {"search": search, "n_trials": n_trials, "objective": objective, "constraints": constraints,
                                                   "oos_ratio": oos_ratio, "seed": seed, "gates": gates, **options})
        return Tune(self, self._send(create("/backtests/tune", body, key)))

    def walk_forward(self, dataset: Any, strategy: str, space: Space | None = None, *, train_days: int, test_days: int, step_days: int | None = None,
                     anchored: bool | None = None, min_folds: int | None = None, search: str | None = None, n_trials: int | None = None,
                     objective: str | None = None, constraints: list[str] | None = None, seed: int | None = None, gates: dict[str, Any] | None = None,
                     key: str | None = None, wfo_config: dict[str, Any] | None = None, **options: Any) -> WalkForward:
        """Submit a walk-forward: a tune for each training window, judged on the test window after it.

        ``dataset`` may be a list of several, of which ``aggregate="mean"``, ``"median"`` or ``"worst"`` of the figures counts.
        """
        config = {"train_days": train_days, "test_days": test_days, "step_days": step_days, "anchored": anchored, "min_folds": min_folds, **(wfo_config or {})}
        body = res.spec(dataset, strategy, space, {"search": search, "n_trials": n_trials, "objective": objective, "constraints": constraints, "seed": seed,
                                                   "gates": gates, "wfo_config": {k: v for k, v in config.items() if v is not None}, **options})
        return WalkForward(self, self._send(create("/backtests/wfo", body, key)))

    def run(self, dataset: Any, strategy: str, params: dict[str, float] | None = None, *, key: str | None = None, **options: Any) -> Run:
        """Run one backtest. ``options`` are further members of POST /backtests/run."""
        body = {"dataset": res.dataset_name(dataset), "strategy_name": strategy, "params": params or {}, **options}
        return Run(self, self._send(create("/backtests/run", {k: v for k, v in body.items() if v is not None}, key)))

    def ingest(self, source: str | os.PathLike[str], *, text: str | None = None, key: str | None = None, **options: Any) -> Ingestion:
        """Ingest an address, a file, or a ``text`` that is known as ``source``."""
        return Ingestion(self, self._send(res.ingest(source, text, options, key)))

    def ask(self, question: str, *, top_k: int | None = None, **options: Any) -> Answer:
        """Ask the documents: an answer with the passages that it cites."""
        body = {"question": question, "top_k": top_k, **options}
        return Answer(self._send(Call("POST", "/query", obj, body={k: v for k, v in body.items() if v is not None})))

    def recommend(self, strategy: str, dataset: Any = None, **options: Any) -> Recommendation:
        """Parameters that past trials in a market like the end of the dataset recommend."""
        body = {"strategy_name": strategy, "dataset": res.dataset_name(dataset) if dataset is not None else None, **options}
        return Recommendation(self._send(Call("POST", "/kb/recommend", obj, body={k: v for k, v in body.items() if v is not None})))

    def reproduce(self, tune: Tune, *, progress: bool = False) -> Reproduction:
        """Make a tune again from its manifest, and compare the hashes of the two results."""
        first = tune.manifest()
        again = Tune(self, self._send(create("/backtests/tune", tune._again(first), None)))
        again.wait(progress=progress)
        return Reproduction(again, first, again.manifest())

    def leaderboard(self, to: As | None = None, **filters: Any) -> Any:
        """The workspace's best trials under one objective, as a table."""
        return self._send(res.Entity._table(_At("/backtests", "leaderboard"), "", to, **{"limit": 1000, **filters}))

    # What there is already.

    def get_tune(self, id: str) -> Tune:
        return Tune(self, {"tune_id": id}).refresh()

    def get_walk_forward(self, id: str) -> WalkForward:
        return WalkForward(self, {"wfo_id": id}).refresh()

    def get_run(self, id: str) -> Run:
        run = Run(self, {"run_id": id})
        run.data = self._send(run._read())
        return run

    def get_ingestion(self, id: str) -> Ingestion:
        return Ingestion(self, {"job_id": id}).refresh()

    def tunes(self, **filters: Any) -> list[Tune]:
        return [Tune(self, t) for t in self._pages("/backtests/tunes", limit=200, **filters)]


class _At(res.Entity):
    """The place of a table that belongs to no entity."""

    def __init__(self, path: str, id: str) -> None:
        super().__init__(None, {})
        self.path, self._id = path, id

    @property
    def id(self) -> str:
        return self._id


__all__ = ["APIError", "Client", "Dataset", "Ingestion", "Run", "Tune", "UnreachableError", "WalkForward"]
