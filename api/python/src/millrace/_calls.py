"""Requests and how they are repeated, without the sending: the two clients differ in that alone."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx

from ._errors import APIError, UnreachableError, from_answer

T = TypeVar("T")
U = TypeVar("U")

ARROW = "application/vnd.apache.arrow.stream"
TEMPORARY = frozenset({429, 502, 503, 504})


@dataclass
class Call(Generic[T]):
    """One request and what is made of its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    data: dict[str, str] | None = None
    file: tuple[str, bytes] | None = None
    accept: str = "application/json"
    key: str | None = None
    """The idempotency key: the same for every attempt."""
    done: Callable[[httpx.Response], T | None] | None = None
    """What is returned where a refusal shows that an attempt before it, whose answer was lost, has had its effect; None: it
    does not show that."""

    def then(self, make: Callable[[T], U]) -> Call[U]:
        read = self.read
        return Call(self.method, self.path, lambda r: make(read(r)), self.params, self.body, self.data, self.file, self.accept, self.key)

    def request(self) -> dict[str, Any]:
        """The arguments of httpx."""
        headers = {"Accept": self.accept}
        if self.key is not None:
            headers["X-Idempotency-Key"] = self.key
        made: dict[str, Any] = {
            "method": self.method, "url": self.path, "headers": headers,
            "params": {k: v for k, v in self.params.items() if v is not None},
        }
        if self.file is not None:
            made["files"], made["data"] = {"file": self.file}, self.data or {}
        elif self.data is not None:
            made["data"] = self.data
        elif self.body is not None:
            headers["Content-Type"] = "application/json"
            made["content"] = json.dumps(self.body, allow_nan=False).encode()
        return made

    def answer(self, response: httpx.Response, lost: bool = False) -> T:
        """Read the answer. ``lost`` says that the answer to an attempt before this one was lost."""
        if response.is_success:
            return self.read(response)
        if lost and self.done is not None:
            found = self.done(response)
            if found is not None:
                return found
        raise self.error(response)

    def error(self, response: httpx.Response) -> APIError:
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        if not isinstance(problem, dict):
            problem = {}
        return from_answer(response.status_code, problem, f"{self.method} {self.path}", self.key)

    def unreachable(self, err: Exception | None, patience: float) -> UnreachableError:
        failed = UnreachableError(f"{self.method} {self.path}: the server did not answer for {patience:.0f} s: {err}")
        failed.idempotency_key = self.key
        return failed


def new_key(key: str | None) -> str:
    return key or str(uuid.uuid4())


def temporary(response: httpx.Response) -> bool:
    """Whether the same request can succeed later: also one whose key another attempt of it still holds."""
    return response.status_code in TEMPORARY or (response.status_code == 409 and "retry-after" in response.headers)


def maybe_done(answer: httpx.Response | None, failed: Exception | None) -> bool:
    """Whether an attempt without an answer of the server may have had its effect: not where it was not even connected."""
    if answer is not None:
        return answer.status_code in (502, 504)
    return not isinstance(failed, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))


def pauses(patience: float) -> Iterator[float]:
    """Waits between attempts, in seconds, doubled and spread, until the patience is over."""
    spent, base = 0.0, 0.2
    while spent < patience:
        wait = min(base * (0.5 + random.random() / 2), patience - spent)
        yield wait
        spent, base = spent + wait, min(base * 2, 5.0)


def retry_after(response: httpx.Response | None, wait: float) -> float:
    if response is None:
        return wait
    try:
        return max(wait, min(float(response.headers.get("retry-after", 0)), 60.0))
    except ValueError:
        return wait


def obj(response: httpx.Response) -> dict[str, Any]:
    found = response.json()
    if not isinstance(found, dict):
        raise APIError(response.status_code, {"detail": "The answer is not that of a Millrace server."}, str(response.url.path))
    return found


def get(path: str, **params: Any) -> Call[dict[str, Any]]:
    return Call("GET", path, obj, params=params)


def create(path: str, body: Any, key: str | None) -> Call[dict[str, Any]]:
    return Call("POST", path, obj, body=body, key=new_key(key))


def deleted(_: httpx.Response) -> bool:
    return True


def deleted_before(response: httpx.Response) -> bool | None:
    """Of a deletion whose answer was lost: it is not there any more."""
    return True if response.status_code == 404 else None
