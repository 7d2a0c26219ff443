"""Sending requests, again where that helps, and following streams: what the clients share."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx

from ._calls import Call, get, maybe_done, obj, pauses, retry_after, temporary
from ._config import Config, from_env
from ._stream import Event, Lines, decode
from ._version import __version__

T = TypeVar("T")
S = TypeVar("S", bound="Sender")


class Sender:
    """Speaks to one server with one key.

    A request that fails for a reason that passes (no connection, a server that restarts, a limit) is sent
    again for up to ``patience`` seconds, with the same idempotency key, so that it has one effect.
    """

    def __init__(self, url: str, key: str, workspace: str | None = None, *, patience: float = 120.0, timeout: float = 300.0,
                 transport: httpx.BaseTransport | None = None) -> None:
        self.config = Config(url.rstrip("/"), key, workspace)
        self.patience = patience
        self._http = httpx.Client(base_url=self.config.url, timeout=httpx.Timeout(timeout, connect=10.0), transport=transport,
                                  headers=_headers(self.config), follow_redirects=False)

    @classmethod
    def from_env(cls: type[S], env_file: str | os.PathLike[str] | None = None, **options: Any) -> S:
        """Read MILLRACE_URL, MILLRACE_API_KEY and MILLRACE_WORKSPACE_ID, or the dev.env of `millrace dev`."""
        config = from_env(env_file)
        return cls(config.url, config.key, config.workspace, **options)

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.config.url}>"

    def _send(self, call: Call[T]) -> T:
        waits, lost = pauses(self.patience), False
        while True:
            answer: httpx.Response | None = None
            failed: Exception | None = None
            try:
                answer = self._http.request(**call.request())
                if not temporary(answer):
                    return call.answer(answer, lost)
            except httpx.TransportError as err:
                failed = err
            lost = lost or maybe_done(answer, failed)
            wait = next(waits, None)
            if wait is None:
                raise call.error(answer) if answer is not None else call.unreachable(failed, self.patience)
            time.sleep(retry_after(answer, wait))

    def _pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            page = self._send(get(path, cursor=cursor, **query))
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def events(self, *topics: str, after: str | None = None) -> Iterator[Event]:
        """The workspace's events, live and without end. The stream resumes by itself; a ``reset`` event says
        that some were missed for good."""
        return self._events("/events/stream", {"topics": ",".join(topics) or None}, after)

    def _events(self, path: str, query: dict[str, Any], after: str | None) -> Iterator[Event]:
        lines = Lines()
        lines.last_id = after or ""
        waits = pauses(self.patience)
        while True:
            failed: Exception | None = None
            answer: httpx.Response | None = None
            call = Call("GET", path, obj, params=query)
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": lines.last_id} if lines.last_id else {})}
            try:
                with self._http.stream("GET", path, params={k: v for k, v in query.items() if v is not None}, headers=headers,
                                       timeout=httpx.Timeout(10.0, read=45.0)) as answer:
                    if answer.status_code == 204:
                        return
                    if answer.status_code != 200:
                        answer.read()
                        if not temporary(answer):
                            raise call.error(answer)
                    else:
                        lines.last_id = lines.last_id or answer.headers.get("last-event-id", "")
                        kept = Lines()
                        kept.last_id = lines.last_id
                        for line in answer.iter_lines():
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
            time.sleep(retry_after(answer, wait))


def _headers(config: Config) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {config.key}", "User-Agent": f"millrace-python/{__version__}"}
    if config.workspace:
        headers["X-Workspace-Id"] = config.workspace
    return headers
