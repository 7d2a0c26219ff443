"""Trials of a large tune into tables: seconds and bytes of each form, from a server of its own. `make columns` runs it.

MILLRACE_TRIALS is how many trials (a million by default), MILLRACE_BIN the program.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent / "tests"))
from conftest import Server

import millrace

ROUNDS = int(os.environ.get("ROUNDS", "3"))
JSON, ARROW, PARQUET, CSV = "application/json", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet", "text/csv"


def bars(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    opened = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame({"open": opened, "high": np.maximum(opened, close) * 1.001, "low": np.minimum(opened, close) * 0.999, "close": close, "volume": 1.0},
                        index=pd.date_range("2015-01-01", periods=n, freq="D", tz="UTC"))


PROCESSES: set[int] = set()


def cpu() -> float:
    """CPU seconds so far of this process, the server and its database: what others on the machine do not change."""
    tick, spent = os.sysconf("SC_CLK_TCK"), time.process_time()
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parents[int(stat.parent.name)] = (int(fields[1]), sum(map(int, fields[11:13])) / tick)
    for pid, (_, own) in parents.items():
        at = pid
        while at in parents and at not in PROCESSES:
            at = parents[at][0]
        spent += own if at in PROCESSES else 0.0
    return spent


def timed(what: str, run: Callable[[], int | None]) -> tuple[float, int]:
    seconds, burned, size = [], [], 0
    for _ in range(ROUNDS):
        began, before = time.perf_counter(), cpu()
        size = run() or 0
        seconds.append(time.perf_counter() - began)
        burned.append(cpu() - before)
    median = statistics.median(seconds)
    print(f"{what:34} {median:7.2f} s (from {min(seconds):.2f} to {max(seconds):.2f}), {statistics.median(burned):.2f} s of CPU"
          + (f" {size / 1e6:9.1f} MB" if size else ""), flush=True)
    return median, size


def main() -> None:
    trials = int(os.environ.get("MILLRACE_TRIALS", "1000000"))
    side = int(trials**0.5)
    with tempfile.TemporaryDirectory(prefix="millrace-columns-") as folder:
        server = Server(os.environ["MILLRACE_BIN"], Path(folder) / "data")
        server.start()
        assert server.process is not None
        PROCESSES.add(server.process.pid)
        try:
            measure(server, server.client(timeout=600.0), side)
        finally:
            server.end()


def measure(server: Server, client: millrace.Client, side: int) -> None:
    client.upload(bars(500), "walk", timeframe="1d")
    space = {"fast": {"low": 1, "high": side, "step": 1}, "slow": {"low": 2, "high": side + 1, "step": 1}}
    began = time.perf_counter()
    tune = client.tune("walk", "sma_cross", space, search_type="grid", n_trials=side * side).wait()
    print(f"{side * side} trials, computed in {time.perf_counter() - began:.0f} s; load {os.getloadavg()[0]:.1f}", flush=True)
    path = f"/backtests/tunes/{tune.id}/trials"
    http = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {client.config.key}"}, timeout=600.0)

    def whole(media: str) -> bytes:
        return http.get(path, headers={"Accept": media}).raise_for_status().content

    def pages() -> int:
        size, cursor, rows = 0, None, []
        while True:
            answer = http.get(path, params={"limit": 1000, **({"cursor": cursor} if cursor else {})}).raise_for_status()
            size += len(answer.content)
            page = json.loads(answer.content)
            rows += page["items"]
            cursor = page["next_cursor"]
            if not cursor:
                break
        assert len(pd.DataFrame(rows)) == side * side
        return size

    for kind in ("pandas", "polars"):
        def read(kind: str = kind) -> None:
            assert len(tune.trials(to=kind)) == side * side

        timed(f"client, DataFrame of {kind}", read)  # the goal is 3 s
    arrow_seconds, arrow_bytes = timed("Arrow stream, read", lambda: len(whole(ARROW)))
    timed("Parquet file, read and decoded", lambda: (lambda raw: len(pd.read_parquet(io.BytesIO(raw))) and len(raw))(whole(PARQUET)))
    timed("CSV, read", lambda: len(whole(CSV)))
    began = time.perf_counter()
    size = pages()
    seconds = time.perf_counter() - began
    print(f"{'JSON pages, a DataFrame of them':34} {seconds:7.2f} s {size / 1e6:34.1f} MB")
    print(f"JSON takes {seconds / arrow_seconds:.1f} times the time and {size / arrow_bytes:.1f} times the bytes of Arrow (the goal is 5)")


if __name__ == "__main__":
    main()
