"""Requests of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx

from ._calls import Call, create, deleted, deleted_before, obj


def path_of(id: str) -> str:
    return "/webhooks/" + quote(id, safe="")


def new_webhook(url: str, topics: Sequence[str], types: Sequence[str], entity_id: str, label: str, description: str, key: str | None) -> Call[dict[str, Any]]:
    body = {"url": url, "topics": list(topics), "types": list(types), "entity_id": entity_id, "label": label, "description": description}
    return create("/webhooks", body, key)


def webhook_change(id: str, changes: dict[str, Any]) -> Call[dict[str, Any]]:
    return Call("PATCH", path_of(id), obj, body=changes)


def webhook_rotation(id: str, overlap_seconds: int, key: str | None) -> Call[dict[str, Any]]:
    return create(path_of(id) + "/rotate", {"overlap_seconds": overlap_seconds}, key)


def webhook_test(id: str, key: str | None) -> Call[dict[str, Any]]:
    return create(path_of(id) + "/test", {}, key)


def items(response: httpx.Response) -> list[dict[str, Any]]:
    return list(obj(response)["items"])


def webhook_deliveries(id: str, limit: int, state: str | None) -> Call[list[dict[str, Any]]]:
    return Call("GET", path_of(id) + "/deliveries", items, {"limit": limit, "state": state})


def webhook_redelivery(id: str, delivery: str, key: str | None) -> Call[dict[str, Any]]:
    return create(path_of(id) + "/deliveries/" + quote(delivery, safe="") + "/redeliver", {}, key)


def webhook_deletion(id: str) -> Call[bool]:
    return Call("DELETE", path_of(id), deleted, done=deleted_before)
