"""Requests that delete and archive."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from ._calls import Call, create, obj

PATHS = {
    "tune": "/backtests/tunes", "wfo": "/backtests/wfo", "run_plan": "/run-plans", "run": "/backtests/runs", "dataset": "/datasets",
    "document": "/documents", "strategy": "/strategies",
}


def path_of(kind: str, id: str) -> str:
    if kind not in PATHS:
        raise ValueError(f"kind {kind!r}: want one of {', '.join(PATHS)}")
    return f"{PATHS[kind]}/{quote(id, safe='')}"


def obj_or_nothing(response: httpx.Response) -> dict[str, Any]:
    return obj(response) if response.content else {}


def deletion(kind: str, id: str, cascade: bool, dry_run: bool, versions: str | None) -> Call[dict[str, Any]]:
    def gone(response: httpx.Response) -> dict[str, Any] | None:
        return {} if response.status_code == 404 and not dry_run else None

    asked = {"cascade": "true" if cascade else None, "dry_run": "true" if dry_run else None, "versions": versions}
    return Call("DELETE", path_of(kind, id), obj_or_nothing, asked, done=gone)


def bulk_change(kind: str, action: str, filters: dict[str, Any], tags: tuple[str, ...], cascade: bool, confirm: int | None) -> Call[dict[str, Any]]:
    body: dict[str, Any] = {"kind": kind, "action": action, "filter": filters, "tags": list(tags), "cascade": cascade}
    if confirm is None:
        body["dry_run"] = True
    else:
        body["confirm"] = confirm
    return create("/bulk", body, None)


def archival(kind: str, id: str, restore: bool) -> Call[dict[str, Any]]:
    return Call("POST", f"{path_of(kind, id)}/{'restore' if restore else 'archive'}", obj)
