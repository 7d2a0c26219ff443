"""Server-sent events (WHATWG HTML)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """An event of the log: ``type`` is such as ``backtest.tune.progress``, ``payload`` as the API documents it."""

    id: str
    type: str
    entity_id: str
    payload: dict[str, Any]
    at: str = ""
    topic: str = ""


class Lines:
    """Makes frames of lines: (id, event, data). Comments and frames without data give none."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry: float | None = None
        self._event = ""
        self._data: list[str] = []

    def feed(self, line: str) -> tuple[str, str, str] | None:
        if line == "":
            event, data, self._event, self._data = self._event, self._data, "", []
            return (self.last_id, event or "message", "\n".join(data)) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isdigit():
            self.retry = int(value) / 1000
        return None


def decode(frame: tuple[str, str, str]) -> Event:
    id, kind, data = frame
    found = json.loads(data)
    if not isinstance(found, dict):
        found = {}
    return Event(id, kind, str(found.get("entity_id") or ""), found.get("payload") or {}, str(found.get("at") or ""), str(found.get("topic") or ""))
