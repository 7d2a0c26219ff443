"""The requests of every resource, and what their answers hold. Both clients use these."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Union

import httpx

from . import _display as show
from . import _frames as frames
from ._calls import Call, create, get, new_key, obj
from ._errors import ConfigError

Space = Mapping[str, Union[Sequence[Any], range, Mapping[str, Any]]]
"""A parameter's values: a list, ``range(5, 51, 5)``, or {"low": …, "high": …, "step": …}."""


def space(given: Space | None) -> dict[str, Any] | None:
    if given is None:
        return None
    made: dict[str, Any] = {}
    for name, values in given.items():
        if isinstance(values, range):
            if not len(values):
                raise ConfigError(f"space.{name}", "is empty")
            made[name] = {"low": min(values), "high": max(values), "step": abs(values.step)}
        elif isinstance(values, Mapping):
            made[name] = dict(values)
        elif isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            raise ConfigError(f"space.{name}", "takes a list, a range, or {'low': …, 'high': …, 'step': …}")
        else:
            made[name] = [v.item() if hasattr(v, "item") else v for v in values]  # numpy's numbers are not JSON's
    return made


def dataset_name(dataset: Any) -> str:
    if isinstance(dataset, Dataset):
        return dataset.id
    if isinstance(dataset, str):
        return dataset
    raise ConfigError("dataset", f"is a {type(dataset).__name__}; upload a frame first, as in client.upload(frame, name='spx')")


def spec(dataset: Any, strategy: str, given: Space | None, options: dict[str, Any]) -> dict[str, Any]:
    """The body of a tune: what is None is left to the server."""
    body: dict[str, Any] = {"strategy_name": strategy}
    if isinstance(dataset, (list, tuple)):
        body["datasets"] = [dataset_name(d) for d in dataset]
    else:
        body["dataset"] = dataset_name(dataset)
    body["param_space"] = space(given)
    renamed = {"search": "search_type", "objective": "objective_type"}
    body.update({renamed.get(name, name): value for name, value in options.items()})
    return {name: value for name, value in body.items() if value is not None}


class Entity:
    """What the server answered, with its members as items: ``tune["best_score"]``."""

    id_member = ""
    path = ""
    extra: dict[str, Any] = {}

    def __init__(self, client: Any, data: dict[str, Any]) -> None:
        self._client = client
        self.data = data

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.data.get(name, default)

    @property
    def id(self) -> str:
        return str(self.data[self.id_member])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.data.get('status', '')}>".replace(" >", ">")

    def _read(self, wait: float = 0) -> Call[dict[str, Any]]:
        return get(f"{self.path}/{self.id}", wait=f"{wait:.0f}s" if wait else None, **self.extra)

    def _table(self, what: str, to: frames.As | None, index: str | None = None, **query: Any) -> Call[Any]:
        kind = frames.chosen(to)
        return Call("GET", f"{self.path}/{self.id}/{what}".rstrip("/"), lambda r: frames.table(r.content, r.headers.get("content-type", ""), kind, index),
                    params=query, accept=frames.wire(kind))

    def _file(self, what: str, to: str | os.PathLike[str]) -> Call[Path]:
        def keep(response: httpx.Response) -> Path:
            Path(to).write_bytes(response.content)
            return Path(to)

        return Call("GET", f"{self.path}/{self.id}/{what}", keep, accept="*/*")


class Lasting(Entity):
    """What runs until it has ended."""

    @property
    def status(self) -> str:
        return str(self.data.get("status"))

    @property
    def ended(self) -> bool:
        return self.status not in ("queued", "pending", "running", "retrying")

    @property
    def failed(self) -> bool:
        return self.status in ("failed", "canceled")

    @property
    def warnings(self) -> list[str]:
        return list(self.data.get("warnings") or [])

    def _take(self, payload: dict[str, Any]) -> None:
        """Follow an event, whose payload has some of the members."""
        self.data.update({k: v for k, v in payload.items() if k in self.data and k not in ("error",)})

    def _why(self) -> str:
        return f"{self!r} {self.data.get('error') or self.data.get('reason') or ''}".strip()

    def _progress(self) -> tuple[int, int, str]:
        return 0, 0, self.status


class Trials(Lasting):
    def _progress(self) -> tuple[int, int, str]:
        done, whole = int(self.data.get("trials_completed") or 0), int(self.data.get("n_trials") or 0)
        eta = self.data.get("eta_seconds")
        left = f", {eta:.0f} s left" if eta and not self.ended else ""
        return done, whole, f"{self.status}: {done:,} of {whole:,} trials, best {show.number(self.data.get('best_score'))}{left}"


class TuneData(Trials):
    id_member, path, extra = "tune_id", "/backtests/tunes", {"leaderboard": 10}
    _cells: list[dict[str, Any]] | None = None

    @property
    def best_params(self) -> dict[str, float] | None:
        return self.data.get("best_params")

    @property
    def best_score(self) -> float | None:
        return self.data.get("best_score")

    @property
    def verdict(self) -> str | None:
        """robust, fragile, luck or undecided; None until the tune is completed."""
        return (self.data.get("evidence") or {}).get("verdict")

    def _best(self) -> Call[dict[str, Any]]:
        if not self.best_params:
            raise ConfigError("tune", f"{self!r} has no best trial{': wait for its end' if not self.ended else ''}")
        made = self.data.get("spec") or {}
        body = {"dataset": self.data["dataset"], "strategy_name": self.data["strategy_name"], "params": self.best_params,
                "side": made.get("side"), "account": made.get("account"), "stops": made.get("stops"), "intrabar_policy": made.get("intrabar_policy"), "seed": made.get("seed")}
        account = body["account"]
        if isinstance(account, dict):
            body["account"] = {k: v for k, v in account.items() if v is not None} or None
        # One run for each tune, however often it is asked for.
        return create("/backtests/run", {k: v for k, v in body.items() if v is not None}, f"best of {self.id}")

    def _again(self, found: dict[str, Any]) -> dict[str, Any]:
        """The body that makes the tune of a manifest again."""
        body = {k: v for k, v in found["spec"].items() if v is not None and k not in ("script", "datasets")}
        names = self.data.get("datasets") or [self.data["dataset"]]
        if len(names) > 1:
            body["datasets"] = names
        else:
            body["dataset"] = names[0]
        return body

    def _repr_html_(self) -> str:
        done, whole, text = self._progress()
        share = self.data.get("share_done")  # of all work: permutations run when all trials have ended
        bar = show.bar(done, whole, text) if share is None else show.bar(float(share), 1, text)
        parts = [f"<b>Tune</b> of {escape(str(self.data.get('strategy_name')))} on {escape(str(self.data.get('dataset')))}", bar]
        if self.data.get("error"):
            parts.append(f"<p>{escape(str(self.data['error']))}</p>")
        if self.ended:
            parts.append(show.verdict(self.data.get("evidence")))
            if self.best_params:
                parts.append(f"<p>Best: {show.params(self.best_params)}</p>")
            names = list(self.best_params or {})
            if len(names) >= 2 and self._cells:
                parts.append(show.heat_map(self._cells, names[0], names[1]))
            rows = [{"rank": e.get("rank"), **(e.get("params") or {}), "score": e.get("score"), "score_oos": e.get("score_oos")} for e in self.data.get("leaderboard") or []]
            if rows:
                parts.append(show.table(rows, ["rank", *names, "score", "score_oos"]))
        parts += [f"<p>⚠ {escape(w)}</p>" for w in self.warnings]
        return "".join(parts)


class WalkForwardData(Trials):
    id_member, path = "wfo_id", "/backtests/wfo"

    @property
    def best_params(self) -> dict[str, float] | None:
        return self.data.get("best_params")

    @property
    def folds(self) -> list[dict[str, Any]]:
        return list(self.data.get("folds") or [])

    @property
    def by_dataset(self) -> list[dict[str, Any]]:
        """Of a walk-forward over several datasets, each by itself; empty for one."""
        return list(self.data.get("by_dataset") or [])

    def _progress(self) -> tuple[int, int, str]:
        done, whole, text = super()._progress()
        return done, whole, text.replace("trials", f"trials, {self.data.get('folds_done')} of {self.data.get('n_folds')} folds", 1)

    def _repr_html_(self) -> str:
        done, whole, text = self._progress()
        parts = [f"<b>Walk-forward</b> of {escape(str(self.data.get('strategy_name')))} on {escape(', '.join(self.data.get('datasets') or [str(self.data.get('dataset'))]))}", show.bar(done, whole, text)]
        if self.ended:
            parts.append(show.verdict(self.data.get("evidence")))
            parts.append(f"<p>Best: {show.params(self.best_params)}, efficiency {show.number(self.data.get('walk_forward_efficiency'))}</p>")
            parts.append(show.table([{**f, **(f.get("params") or {})} for f in self.folds], ["fold", "status", *(self.best_params or {}), "score_is", "score_oos"]))
            if self.by_dataset:
                rows = [{"dataset": d["dataset"], **d["oos"], "folds_earned": d["folds_earned"]} for d in self.by_dataset]
                parts.append(show.table(rows, ["dataset", "return_pct", "max_drawdown_pct", "sharpe", "trades", "folds_earned"]))
        parts += [f"<p>⚠ {escape(w)}</p>" for w in self.warnings]
        return "".join(parts)


class IngestionData(Lasting):
    id_member, path = "job_id", "/ingest/jobs"

    def _progress(self) -> tuple[int, int, str]:
        at = self.data.get("progress") or {}
        return int(at.get("done") or 0), int(at.get("total") or 0), f"{self.status}: {at.get('stage', '')}"


class RunData(Entity):
    id_member, path = "run_id", "/backtests/runs"

    @property
    def metrics(self) -> dict[str, Any]:
        return dict(self.data["metrics"])

    def _repr_html_(self) -> str:
        shown = ["return_pct", "cagr_pct", "max_drawdown_pct", "sharpe", "sortino", "profit_factor", "trades"]
        return f"<b>Run</b> of {escape(str(self.data.get('strategy_name')))} on {escape(str(self.data.get('dataset')))}" + show.table([self.metrics], shown)


class Dataset(Entity):
    """Bars under a name."""

    id_member, path = "dataset_id", "/datasets"

    @property
    def name(self) -> str:
        return str(self.data["name"])

    def __repr__(self) -> str:
        return f"<Dataset {self.name}: {self.data.get('bars')} bars of {self.data.get('timeframe')}, {self.data.get('from')} to {self.data.get('to')}>"

    def _repr_html_(self) -> str:
        return escape(repr(self))


def upload(frame: Any, name: str, symbol: str | None, options: dict[str, Any]) -> Call[dict[str, Any]]:
    if not name:
        raise ConfigError("name", "is empty; datasets are called by their names")
    data = {"name": name, "symbol": symbol or name.upper()[:32], **{k: str(v) for k, v in options.items() if v is not None}}
    return Call("POST", "/datasets", obj, data=data, file=frames.to_file(frame, name))


def ingest(source: str | os.PathLike[str], text: str | None, options: dict[str, Any], key: str | None) -> Call[dict[str, Any]]:
    """An address, a file, or a text under the name ``source``."""
    given = {k: v for k, v in options.items() if v is not None}
    name = os.fspath(source)
    if text is not None:
        return create("/ingest", {"text": text, "name": name, **given}, key)
    if name.startswith(("http://", "https://")):
        return create("/ingest", {"url": name, **given}, key)
    path = Path(name)
    if not path.is_file():
        raise ConfigError("source", f"{name} is neither an address nor a file; pass text= for a text of your own")
    data = {"source": str(path.resolve()), **{k: str(v) for k, v in given.items()}}
    return Call("POST", "/ingest", obj, data=data, file=(path.name, path.read_bytes()), key=new_key(key))


class Answer(Entity):
    """An answer with the passages that it cites."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(None, data)

    @property
    def text(self) -> str:
        return str((self.data.get("answer") or {}).get("text", ""))

    @property
    def citations(self) -> list[dict[str, Any]]:
        return list((self.data.get("answer") or {}).get("citations") or [])

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        cited = "".join(f"<li>[{c.get('mark')}] {escape(str(c.get('title')))} {escape(str(c.get('position')))}</li>" for c in self.citations)
        return f"<p>{escape(self.text)}</p><ul>{cited}</ul>"


class Recommendation(Entity):
    """Parameters that past trials in such a market recommend."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(None, data)

    @property
    def params(self) -> dict[str, float] | None:
        return self.data.get("params")

    def __repr__(self) -> str:
        return f"<Recommendation {self.data.get('status')} {self.params}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{escape(str(self.data.get('status')))}</b>, confidence {show.number(self.data.get('confidence'))}: {show.params(self.params)}</p>"


class Reproduction:
    """A result that was made again: whether its bytes are the same."""

    def __init__(self, entity: Any, first: dict[str, Any], again: dict[str, Any]) -> None:
        self.entity, self.first, self.again = entity, first["result"], again["result"]

    @property
    def same(self) -> bool:
        return bool(self.first["sha256"] == self.again["sha256"])

    @property
    def differing(self) -> list[str]:
        """The parts whose hashes differ."""
        first, again = self.first.get("parts") or {}, self.again.get("parts") or {}
        return sorted(k for k in {*first, *again} if first.get(k) != again.get(k))

    def __bool__(self) -> bool:
        return self.same

    def __repr__(self) -> str:
        return "<Reproduction: the same bytes>" if self.same else f"<Reproduction: {', '.join(self.differing)} differ>"
