"""Writes the client for asyncio of the other: aio.py of client.py, and so on. Run it after a change there."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent / "src" / "millrace"
PLAIN = {"__init__", "from_env", "__repr__", "_headers", "id", "events"}
CLASSES = ["Client", "Tune", "WalkForward", "Ingestion", "Run", "Dataset", "Sender", "Manager"]
TWINS = {"client": "aio", "_sending": "_aio_sending", "_manage": "_aio_manage", "_entities": "_aio_entities"}


def made(source: str, of: str) -> str:
    out = []
    for line in source.splitlines():
        name = re.match(r"    def (\w+)", line)
        if name and name[1] not in PLAIN:
            line = line.replace("    def ", "    async def ", 1)
        out.append(line)
    text = "\n".join(out) + "\n"
    text = text.replace("async def __enter__", "async def __aenter__").replace("async def __exit__", "async def __aexit__")
    text = re.sub(r"(?<![\w.])(self\._send\(|self\._client\._send\(|self\._http\.request\()", r"await \1", text)
    text = text.replace("self._http.close()", "await self._http.aclose()").replace("self.close()", "await self.close()")
    text = re.sub(r"for (\w+) in self\._pages", r"async for \1 in self._pages", text)
    text = text.replace("for event in self.events()", "async for event in self.events()")
    text = text.replace("with self._http.stream", "async with self._http.stream").replace("answer.read()", "await answer.aread()")
    text = text.replace("for line in answer.iter_lines()", "async for line in answer.aiter_lines()")
    text = text.replace("time.sleep", "await asyncio.sleep").replace("import time\n", "import asyncio\nimport time\n")
    for call in ("again.wait(", "again.manifest()", "tune.manifest()", "self.best_run()", "run.equity(", "run.trades(", "self._wait(", "self._finished()", 'self.trials("dicts")'):
        text = text.replace(call, "await " + call)
    text = re.sub(r"return (\w+\(self, \{.*\}\)\.refresh\(\))", r"return await \1", text)
    text = text.replace("async def await ", "async def ")
    text = text.replace("Iterator", "AsyncIterator").replace("httpx.Client", "httpx.AsyncClient").replace("httpx.BaseTransport", "httpx.AsyncBaseTransport")
    for name in CLASSES:
        text = re.sub(rf"(?<![\w.`]){name}(?!\w)", f"Async{name}", text)
    text = text.replace("import asyncio\nimport time\n", "import time\n")
    if "asyncio.sleep" in text:
        text = text.replace("import os\n", "import asyncio\nimport os\n", 1)
    for plain, twin in TWINS.items():
        text = text.replace(f"from .{plain} import", f"from .{twin} import")
    head = text.index("from __future__")
    return f'"""The client for asyncio, made of {of}.py by make_async.py: edit that."""\n\n' + text[head:]


def twins() -> dict[Path, str]:
    """The files of the client for asyncio, and what they have to hold."""
    return {HERE / f"{twin}.py": made((HERE / f"{plain}.py").read_text(), plain) for plain, twin in TWINS.items()}


if __name__ == "__main__":
    for path, text in twins().items():
        path.write_text(text)
