"""Where the server is and with which key: the variables of the command line, and the file of `millrace dev`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ._errors import ConfigError

DEFAULT_ENV_FILE = Path(".millrace/dev.env")


@dataclass(frozen=True)
class Config:
    url: str
    key: str = field(repr=False)
    workspace: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError("MILLRACE_URL", f"{self.url!r} is not an http or https address")
        if parts.username or parts.password:
            raise ConfigError("MILLRACE_URL", "holds a password; the key goes into MILLRACE_API_KEY")
        if not self.key:
            raise ConfigError("MILLRACE_API_KEY", "is empty: create a key under Workspaces, or start `millrace dev`")


def read_env_file(path: str | os.PathLike[str]) -> dict[str, str]:
    """NAME=VALUE lines; values may stand in quotes."""
    values: dict[str, str] = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        name, found, value = line.strip().partition("=")
        if not found or name.startswith("#"):
            continue
        if len(value) >= 2 and value[0] in "'\"" and value[-1] == value[0]:
            value = value[1:-1]
        values[name.removeprefix("export ").strip()] = value
    return values


def from_env(env_file: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read MILLRACE_URL, MILLRACE_API_KEY and MILLRACE_WORKSPACE_ID.

    What the environment does not say is read from ``env_file``, by default ``.millrace/dev.env`` of this
    folder or one above. A key out of that file is only sent to the address that the file names.
    """
    env = os.environ if environ is None else environ
    file: dict[str, str] = {}
    if env_file is not None:
        try:
            file = read_env_file(env_file)
        except OSError as err:
            raise ConfigError("env_file", f"{env_file} cannot be read: {err.strerror}") from err
    else:
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / DEFAULT_ENV_FILE).is_file():
                file = read_env_file(folder / DEFAULT_ENV_FILE)
                break
    url = env.get("MILLRACE_URL") or file.get("MILLRACE_URL", "")
    key = env.get("MILLRACE_API_KEY", "")
    workspace = env.get("MILLRACE_WORKSPACE_ID")
    if not key and url == file.get("MILLRACE_URL"):
        key, workspace = file.get("MILLRACE_API_KEY", ""), workspace or file.get("MILLRACE_WORKSPACE_ID")
    if not url:
        raise ConfigError("MILLRACE_URL", "is not set, and there is no .millrace/dev.env: start `millrace dev`, or name the server")
    return Config(url.rstrip("/"), key, workspace or None)
