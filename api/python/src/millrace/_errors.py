"""The errors of the client. Each says which field is at fault and what to do."""

from __future__ import annotations

from typing import Any


class MillraceError(Exception):
    """Anything that this package raises."""


class ConfigError(MillraceError):
    """A setting is missing or wrong; ``field`` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class FrameError(MillraceError, ValueError):
    """A frame that cannot be a set of bars; ``field`` names the column or the index."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class UnreachableError(MillraceError):
    """The server did not answer for as long as the client's ``patience``.

    ``idempotency_key`` is that of the request: passing it as ``key=`` sends the same request again, which
    has no further effect if the first one arrived.
    """

    idempotency_key: str | None = None


class APIError(MillraceError):
    """The server refused a request: problem+json (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any], where: str, key: str | None = None) -> None:
        self.status = status
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.errors: list[dict[str, Any]] = list(problem.get("errors") or [])
        self.request_id = str(problem.get("instance", ""))
        self.idempotency_key = key
        lines = [f"{status} {self.title}: {self.detail}".rstrip(": ") + f" ({where})"]
        for fault in self.errors:
            limit = fault.get("limit")
            choice = f"; choose from {', '.join(map(str, limit))}" if isinstance(limit, list) else (f" (limit: {limit})" if limit else "")
            lines.append(f"  {fault.get('field')}: {fault.get('message')}{choice}")
        super().__init__("\n".join(lines))

    @property
    def fields(self) -> list[str]:
        """The names of the fields at fault."""
        return [str(fault.get("field")) for fault in self.errors]


class AuthError(APIError):
    """The key is missing, unknown, expired or revoked, or its role does not allow this."""


class NotFoundError(APIError):
    """The workspace has nothing under that id or name."""


class VersionError(APIError):
    """The server does not know the route: it is older than this client needs, or not a Millrace server."""


class EndedError(MillraceError):
    """What was waited for has ended without a result; ``entity`` is it."""

    def __init__(self, message: str, entity: Any) -> None:
        super().__init__(message)
        self.entity = entity


def from_answer(status: int, problem: dict[str, Any], where: str, key: str | None, server: str = "") -> APIError:
    """The error of an answer that is not a success."""
    if status in (401, 403):
        problem = dict(problem)
        if status == 401:
            problem["detail"] = f"{problem.get('detail', '')} Create a key under Workspaces and set MILLRACE_API_KEY.".strip()
        return AuthError(status, problem, where, key)
    if status in (404, 405) and not problem.get("detail"):
        detail = f"The server{' ' + server if server else ''} does not know this route. Is it a Millrace server, and not older than this client?"
        return VersionError(status, {**problem, "title": problem.get("title") or "Not Found", "detail": detail}, where, key)
    if status == 404:
        return NotFoundError(status, problem, where, key)
    return APIError(status, problem, where, key)
