"""Millrace from Python.

    import millrace

    client = millrace.Client.from_env()
    spx = client.upload(frame, name="spx", timeframe="1d")
    tune = client.tune(spx, "sma_cross", {"fast": range(5, 51, 5), "slow": [50, 100, 200]}, constraints=["fast < slow"], oos_ratio=0.3)
    tune.wait(progress=True).leaderboard()
"""

from ._config import Config
from ._errors import (
    APIError,
    AuthError,
    ConfigError,
    EndedError,
    FrameError,
    MillraceError,
    NotFoundError,
    UnreachableError,
    VersionError,
)
from ._resources import Answer, Recommendation, Reproduction
from ._stream import Event
from ._version import __version__
from .aio import AsyncClient, AsyncDataset, AsyncIngestion, AsyncRun, AsyncTune, AsyncWalkForward
from .client import Client, Dataset, Ingestion, Run, Tune, WalkForward

__all__ = [
    "APIError", "Answer", "AsyncClient", "AsyncDataset", "AsyncIngestion", "AsyncRun", "AsyncTune", "AsyncWalkForward", "AuthError", "Client",
    "Config", "ConfigError", "Dataset", "EndedError", "Event", "FrameError", "Ingestion", "MillraceError", "NotFoundError", "Recommendation",
    "Reproduction", "Run", "Tune", "UnreachableError", "VersionError", "WalkForward", "__version__",
]
