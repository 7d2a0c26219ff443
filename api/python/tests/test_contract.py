"""The client against a real server, which is killed and comes back."""

from __future__ import annotations

import io
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import millrace
from conftest import Server

SPACE = {"fast": range(5, 26, 5), "slow": [60, 100]}


def test_from_a_frame_to_a_verdict(client: millrace.Client, frame: pd.DataFrame) -> None:
    data = client.upload(frame, "walk", timeframe="1d")
    assert client.upload(frame, "walk", timeframe="1d").id == data.id, "the same bars are the same dataset"
    pd.testing.assert_series_equal(data.bars()["close"], frame["Close"], check_names=False, check_index=False)
    tune = client.tune(data, "sma_cross", SPACE, constraints=["fast < slow"], oos_ratio=0.3).wait(progress=True)
    assert tune.status == "completed" and tune.verdict in ("robust", "fragile", "luck", "undecided")
    board, trials = tune.leaderboard(), tune.trials()
    assert list(trials.trial_index) == list(range(10)) and set(trials.status) <= {"completed", "skipped"}
    assert board.iloc[0][["fast", "slow"]].to_dict() == tune.best_params
    assert board.iloc[0].score == tune.best_score == trials.score.max()
    assert isinstance(tune.trials("polars"), pl.DataFrame) and isinstance(tune.trials("arrow"), pa.Table)
    assert [row["score"] for row in tune.trials("dicts")] == tune.trials("arrow")["score"].to_pylist()
    equity, trades = tune.equity(), tune.trades()
    assert len(equity) == len(frame) and str(equity.index.tz) == "UTC"
    assert equity.equity.iloc[-1] == pytest.approx(10_000 + trades.pnl.sum())
    page = tune._repr_html_()
    assert tune.verdict in page and "<svg" in page and "completed" in page
    assert client.get_tune(tune.id).best_params == tune.best_params
    assert tune.id in {t.id for t in client.tunes()} and tune.id in set(client.leaderboard().tune_id)


def test_pandas_alone_has_the_same_tables(client: millrace.Client, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    run = client.run(client.upload(frame, "walk"), "sma_cross", {"fast": 10, "slow": 60})
    whole = {name: getattr(run, name)() for name in ("trades", "equity", "returns")}
    monkeypatch.setattr("millrace._frames.have", lambda module: module == "pandas")
    for name, table in whole.items():
        pd.testing.assert_frame_equal(getattr(run, name)()[list(table.columns[:9])], table[table.columns[:9]], check_dtype=False, check_index_type=False)
    assert run.metrics["sharpe"] == pytest.approx(252**0.5 * whole["returns"]["return"].mean() / whole["returns"]["return"].std(), rel=1e-6)


def test_walk_forward_reproduce_and_knowledge(client: millrace.Client, frame: pd.DataFrame) -> None:
    data = client.upload(frame, "walk")
    wfo = client.walk_forward(data, "sma_cross", SPACE, train_days=1000, test_days=365).wait(progress=True)
    assert wfo.status == "completed" and len(wfo.folds) >= 3 and len(wfo.equity()) > 200 and wfo.best_params
    assert len(wfo.candidates()) and "fold" in wfo._repr_html_()
    again = client.reproduce(client.tune(data, "sma_cross", SPACE).wait())
    assert again and again.same and not again.differing
    note = client.ingest("note.md", text="# Crossovers\n\nA crossover is whipsawed in a sideways market.\n").wait(progress=True)
    assert note.status == "completed"
    answer = client.ask("Where is a crossover whipsawed?")
    assert "sideways" in answer.text and answer.citations and "Crossovers" in answer._repr_html_()
    assert client.recommend("sma_cross", data).get("status") in ("ok", "degraded", "none")


def test_a_refusal_of_the_server_names_the_field(client: millrace.Client, frame: pd.DataFrame) -> None:
    with pytest.raises(millrace.APIError) as caught:
        client.tune(client.upload(frame, "walk"), "no_such_strategy", SPACE)
    assert caught.value.fields == ["strategy_name"]
    with pytest.raises(millrace.NotFoundError):
        client.get_tune("01a224be-0000-7000-8000-000000000000")
    with pytest.raises(millrace.APIError, match="other bars"):
        client.upload(frame.iloc[:-1], "walk")


def test_readers_of_columns_read_from_the_address(client: millrace.Client, server: Server, frame: pd.DataFrame) -> None:
    client.upload(frame, "walk")
    url = f"{server.url}/datasets/walk/bars?format=parquet"
    headers = {"Authorization": f"Bearer {client.config.key}"}
    pd.testing.assert_series_equal(pd.read_parquet(url, storage_options=headers)["close"], frame["Close"], check_names=False, check_index=False)
    packed = httpx.get(url, headers=headers).content
    assert pl.read_parquet(io.BytesIO(packed)).height == len(frame)
    arrow = httpx.get(url.replace("parquet", "arrow"), headers=headers).content
    assert pl.read_ipc_stream(io.BytesIO(arrow)).equals(pl.read_parquet(io.BytesIO(packed)))
    duckdb = pytest.importorskip("duckdb")
    bars = pa.ipc.open_stream(arrow).read_all()
    assert bars.num_rows == len(frame)
    assert duckdb.sql("select count(*), max(close) from bars").fetchall()[0] == (len(frame), pytest.approx(frame.Close.max()))


async def test_the_async_client(server: Server, client: millrace.Client, frame: pd.DataFrame) -> None:
    async with millrace.AsyncClient.from_env(server.env_file) as twin:
        data = await twin.upload(frame, "walk")
        tune = await (await twin.tune(data, "sma_cross", SPACE)).wait(progress=True)
        assert (await tune.trials("polars")).equals(client.get_tune(tune.id).trials("polars"))
        assert [e.type async for e in tune.events()] == ["backtest.tune.completed"]
        wfo = await twin.walk_forward(data, "sma_cross", SPACE, train_days=1000, test_days=365)
        await wfo.wait()
        assert len(await wfo.equity()) > 200 and len(await (await tune.best_run()).trades())


def test_a_key_that_is_revoked_while_its_holder_waits(client: millrace.Client, server: Server, frame: pd.DataFrame) -> None:
    headers = {"Authorization": f"Bearer {client.config.key}"}
    made = httpx.post(f"{server.url}/workspace/keys", headers=headers, json={"name": "short", "role": "member"}).json()
    data = client.upload(frame, "walk")
    with millrace.Client(server.url, made["secret"]) as held:
        slow = held.tune(data, "sma_cross", {"fast": range(2, 202), "slow": range(3, 1203)}, search="random", n_trials=200_000)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(slow.wait)
            first = next(iter(held.events("backtests", after=None)))
            assert first.topic == "backtests"
            assert httpx.delete(f"{server.url}/workspace/keys/{made['key_id']}", headers=headers).status_code == 204
            with pytest.raises(millrace.AuthError, match="revoked"):
                waiting.result(60)
    client.get_tune(slow.id).cancel()


def test_work_is_done_once_across_a_kill(server: Server, client: millrace.Client, frame: pd.DataFrame) -> None:
    """The server is killed in the middle: readers keep waiting, and a submission under way arrives once."""
    data = client.upload(frame, "walk")
    want = client.tune(data, "sma_cross", {"fast": range(2, 62), "slow": range(70, 270, 10)}).wait()
    before = len(client.tunes())
    tune = client.tune(data, "sma_cross", {"fast": range(2, 62), "slow": range(70, 270, 10)})
    shown: list[str] = []
    first = threading.Event()

    def follow() -> None:
        for event in tune.events():
            shown.append(event.type)
            first.set()

    with ThreadPoolExecutor() as pool:
        following, waiting = pool.submit(follow), pool.submit(tune.wait)
        assert first.wait(30)
        server.end(signal.SIGKILL)
        submitting = pool.submit(lambda: server.client().tune(data, "sma_cross", SPACE, key="once"))
        server.start()
        assert waiting.result(120).status == "completed"
        following.result(60)
        other = submitting.result(60)
    assert shown[-1] == "backtest.tune.completed" and shown.count("backtest.tune.completed") == 1
    assert server.client().tune(data, "sma_cross", SPACE, key="once").id == other.id
    assert len(server.client().tunes()) == before + 2
    assert client.get_tune(tune.id).leaderboard("arrow").equals(want.leaderboard("arrow")), "a restart changes the result"
    other.wait()
