"""A real server: `millrace dev`, which the tests kill and start again. MILLRACE_BIN names the program."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

import millrace


class Server:
    def __init__(self, binary: str, data: Path) -> None:
        self.binary, self.data = binary, data
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def env_file(self) -> Path:
        return self.data / "dev.env"

    def start(self) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("MILLRACE_") and k not in ("DATABASE_URL", "ADMIN_TOKEN")}
        with open(self.data.parent / "server.log", "ab") as log:
            self.process = subprocess.Popen([self.binary, "dev", "--addr", f"127.0.0.1:{self.port}", "--data", str(self.data)],
                                            stdout=log, stderr=log, env=env, start_new_session=True)
        until = time.monotonic() + 90
        while True:
            assert self.process.poll() is None, (self.data.parent / "server.log").read_text()
            try:
                if httpx.get(self.url + "/readyz").status_code == 200 and self.env_file.is_file():
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, (self.data.parent / "server.log").read_text()
            time.sleep(0.05)  # between polls of a condition

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def client(self, **options: object) -> millrace.Client:
        return millrace.Client.from_env(self.env_file, **options)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    binary = os.environ.get("MILLRACE_BIN")
    if not binary:
        pytest.skip("MILLRACE_BIN is not set: go test ./api/python sets it")
    made = Server(binary, tmp_path_factory.mktemp("server") / "data")
    made.data.mkdir()
    made.start()
    yield made
    made.end()


@pytest.fixture()
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[millrace.Client]:
    for name in ("MILLRACE_URL", "MILLRACE_API_KEY", "MILLRACE_WORKSPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    with server.client() as made:
        yield made


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """A random walk of 2,500 days."""
    days = pd.bdate_range("2010-01-01", periods=2500)
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0003, 0.01, len(days))))
    return pd.DataFrame({"Open": close, "High": close * 1.01, "Low": close * 0.99, "Close": close * 1.001, "Volume": 1000}, index=days)
