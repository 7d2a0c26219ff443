"""Requests of schedules."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from ._calls import Call, create, deleted, deleted_before, obj


def new_schedule(name: str, kind: str, request: dict[str, Any], cron: str | None, time_zone: str | None, on_new_bars: str | None,
                 missed_policy: str | None, paused: bool, key: str | None) -> Call[dict[str, Any]]:
    given = {"cron": cron, "time_zone": time_zone, "on_new_bars": on_new_bars, "missed_policy": missed_policy, "paused": paused or None}
    body = {"name": name, "kind": kind, "request": request, **{k: v for k, v in given.items() if v is not None}}
    return create("/schedules", body, key)


def path_of(id: str) -> str:
    return "/schedules/" + quote(id, safe="")


def schedule_change(id: str, changes: dict[str, Any]) -> Call[dict[str, Any]]:
    return Call("PATCH", path_of(id), obj, body=changes)


def schedule_run(id: str, key: str | None) -> Call[dict[str, Any]]:
    return create(path_of(id) + "/run", {}, key)


def items(response: httpx.Response) -> list[dict[str, Any]]:
    return list(obj(response)["items"])


def schedule_slots(id: str, limit: int) -> Call[list[dict[str, Any]]]:
    return Call("GET", path_of(id) + "/history", items, {"limit": limit})


def schedule_deletion(id: str) -> Call[bool]:
    return Call("DELETE", path_of(id), deleted, done=deleted_before)
