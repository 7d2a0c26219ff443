"""The package itself: its types, its wheel, and the notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pandas as pd
import pytest

import millrace
from millrace._calls import get
from conftest import Server

HERE = Path(__file__).parent.parent


def test_the_types_hold() -> None:
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-m", "mypy", "--no-incremental", "--cache-dir", os.devnull], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    pytest.importorskip("build")
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(HERE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert {"millrace/py.typed", "millrace/aio.py", "millrace/client.py"} <= set(names)
    assert all(name.startswith("millrace") for name in names)
    checked = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, tmp_path.iterdir())], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


USE = """
import json, os
from generated import AuthenticatedClient
from generated.api.backtests import get_backtests_tunes_by_id, post_backtests_tune
from generated.api.events import get_events
from generated.models import ProblemError, TuneEvent, TuneRequest
client = AuthenticatedClient(base_url=os.environ["MILLRACE_URL"], token=os.environ["MILLRACE_API_KEY"])
body = TuneRequest.from_dict({"dataset": "walk", "strategy_name": "sma_cross", "param_space": {"fast": [5, 10], "slow": [60, 100]}})
tune = post_backtests_tune.sync(client=client, body=body, x_idempotency_key="generated-python")
tune = get_backtests_tunes_by_id.sync(tune.tune_id, client=client, wait="60s")
page = get_events.sync(client=client, topics="backtests", limit=1000)
own = [event for event in page.items if event.entity_id == tune.tune_id]
refused = get_backtests_tunes_by_id.sync("none", client=client)
print(json.dumps({"status": tune.status.value, "events": [event.type_.value for event in own], "one": all(isinstance(e, TuneEvent) for e in own),
                  "done": own[-1].payload.trials_completed, "refused": isinstance(refused, ProblemError) and refused.status}))
"""


def connected(server: Server) -> dict[str, str]:
    """The environment of a program that uses a generated client."""
    config = server.client().config
    return {**os.environ, "MILLRACE_URL": config.url, "MILLRACE_API_KEY": config.key}


def test_a_client_generated_of_the_document_runs(server: Server, client: millrace.Client, frame: pd.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("openapi_python_client")
    client.upload(frame, "walk", timeframe="1d")
    (tmp_path / "openapi.json").write_bytes(httpx.get(server.url + "/docs/openapi.json").content)
    (tmp_path / "config.yml").write_text("content_type_overrides:\n  application/zip: application/octet-stream\npost_hooks: []\n")
    made = subprocess.run([sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--config", "config.yml", "--meta", "none",
                           "--output-path", "generated", "--fail-on-warning"], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    compiled = subprocess.run([sys.executable, "-m", "compileall", "-q", "generated"], cwd=tmp_path, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stdout
    used = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, env=connected(server))
    assert used.returncode == 0, used.stderr
    found = json.loads(used.stdout)
    assert found["events"][0] == "backtest.tune.queued" and found["events"][-1] == "backtest.tune.completed"
    assert (found["status"], found["one"], found["done"], found["refused"]) == ("completed", True, 4, 404)


TYPESCRIPT = HERE.parent / "typescript"


def installed(*parts: str) -> Path:
    """A file of a package of npm's. Without it the test is skipped, and fails where MILLRACE_REQUIRE is set, as in .ci/run."""
    found = TYPESCRIPT.joinpath(".npm", "node_modules", *parts)
    if not found.exists():
        advice = "the packages of the TypeScript tests are not there: run .ci/typescript, which installs them from npm"
        if os.environ.get("MILLRACE_REQUIRE"):
            pytest.fail(advice)
        pytest.skip(advice)
    return found


def test_a_typescript_client_generated_of_the_document_runs(server: Server, client: millrace.Client, frame: pd.DataFrame, tmp_path: Path) -> None:
    generator, compiler = installed("openapi-typescript", "bin", "cli.js"), installed("typescript", "bin", "tsc")
    client.upload(frame, "walk", timeframe="1d")
    for name in ("use.mts", "tsconfig.json", "package.json"):
        (tmp_path / name).write_bytes((TYPESCRIPT / name).read_bytes())
    (tmp_path / "node_modules").symlink_to(TYPESCRIPT / ".npm" / "node_modules")
    (tmp_path / "openapi.json").write_bytes(httpx.get(server.url + "/docs/openapi.json").content)
    for command in ([str(generator), "openapi.json", "-o", "schema.d.ts"], [str(compiler), "-p", "."]):
        made = subprocess.run(["node", *command], cwd=tmp_path, capture_output=True, text=True)
        assert made.returncode == 0, made.stdout + made.stderr
    used = subprocess.run(["node", "use.mjs"], cwd=tmp_path, capture_output=True, text=True, env=connected(server))
    assert used.returncode == 0, used.stderr
    found = json.loads(used.stdout)
    assert found["events"][0] == "backtest.tune.queued 0 of 6" and found["events"][-1] == "backtest.tune.completed 6 of 6"
    assert (found["status"], found["refused"]) == ("completed", 404) and found["ranked"] > 0


def test_the_asyncapi_document_is_one(server: Server) -> None:
    """By the schema of AsyncAPI 3.0 that its authors publish."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(installed("@asyncapi", "specs", "schemas", "3.0.0.json").read_bytes())
    check = jsonschema.Draft7Validator(schema)
    document = httpx.get(server.url + "/docs/asyncapi.json").json()
    assert [f"{list(fault.absolute_path)}: {fault.message[:200]}" for fault in check.iter_errors(document)] == []
    document["operations"]["sendEventsStream"]["action"] = "shout"
    assert not check.is_valid(document)


def test_events_are_as_the_asyncapi_document_describes_them(server: Server, client: millrace.Client, frame: pd.DataFrame) -> None:
    """All that the server has logged: of tunes that ended, were cancelled alone and with others, walk-forwards, documents and jobs."""
    jsonschema = pytest.importorskip("jsonschema")
    data = client.upload(frame, "walk", timeframe="1d")
    space = {"fast": range(2, 62), "slow": range(70, 270, 10)}
    client.walk_forward(data, "sma_cross", {"fast": [5, 10], "slow": [60]}, train_days=1000, test_days=365).wait()
    client.ingest("events.md", text="# Events\n\nEach event is of one shape.\n").wait()
    client.tune(data, "sma_cross", space, search="random", n_trials=1000).cancel()
    tune = client.tune(data, "sma_cross", space, search="random", n_trials=1000)
    assert client.bulk("tune", "cancel", confirm=1, ids=[tune.id])["changed"] == 1
    client.delete("tune", tune.id)
    document = httpx.get(server.url + "/docs/asyncapi.json").json()
    check = jsonschema.Draft7Validator({"$ref": "#/components/schemas/Event", "components": document["components"]})
    cursor, types = None, set()
    while True:
        page = client._send(get("/events", after=cursor, limit=1000))
        for event in page["items"]:
            faults = [f"{list(f.absolute_path)}: {f.message}" for e in check.iter_errors(event) for f in (e.context or [e])
                      if not any(part == "enum" for part in f.schema_path)]
            assert check.is_valid(event), f"{event['type']}: {event} {faults[:3]}"
            types.add(event["type"])
        if not page["items"]:
            break
        cursor = page["next_cursor"]
    assert {"backtest.tune.canceled", "backtest.tune.deleting", "wfo.run.completed", "wfo.fold.completed", "ingestion.job.completed", "job.completed"} <= types


def lines_of(readme: Path) -> list[str]:
    """The first Python block of a document."""
    block = readme.read_text().split("```python\n", 1)[1].split("```", 1)[0]
    return [line for line in block.splitlines() if line.strip()]


HIDDEN = """
import sys, importlib.machinery
class Hidden(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in ("pyarrow", "polars", "tqdm", "IPython") else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Hidden
"""


def run_lines(lines: list[str], server: Server, folder: Path) -> str:
    """Runs what a reader types, in a folder with the server's settings, with pandas and without what is not asked for."""
    (folder / ".millrace").mkdir()
    (folder / ".millrace" / "dev.env").write_bytes(server.env_file.read_bytes())
    (folder / "jobs").symlink_to(HERE.parent.parent / "jobs")
    env = {k: v for k, v in os.environ.items() if not k.startswith("MILLRACE_")}
    done = subprocess.run([sys.executable, "-c", HIDDEN + "\n".join(lines)], cwd=folder, capture_output=True, text=True, env={**env, "MPLBACKEND": "agg"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ten_lines_of_the_readme_lead_to_a_plot(server: Server, tmp_path: Path) -> None:
    readme = HERE.parent.parent / "README.md"
    lines = lines_of(readme)
    assert "pip install ./api/python pandas matplotlib\n" in readme.read_text() and len(lines) + 1 <= 10
    run_lines(lines, server, tmp_path)
    assert (tmp_path / "equity.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_six_lines_lead_from_a_frame_to_a_leaderboard(server: Server, tmp_path: Path) -> None:
    lines = lines_of(HERE / "README.md")
    assert len(lines) <= 6
    frame = ["import pandas as pd", "frame = pd.read_csv('jobs/backtest/ohlcv/sample/sp500.csv', index_col=0, parse_dates=True)"]
    shown = run_lines([*frame, *lines[:-1], f"board = {lines[-1]}", "print(list(board.columns), len(board))"], server, tmp_path)
    assert "'fast'" in shown and "'slow'" in shown and "'score'" in shown


def test_the_notebook_runs(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("MILLRACE_ENV_FILE", str(server.env_file))
    monkeypatch.setenv("MPLBACKEND", "agg")
    for name in ("MILLRACE_URL", "MILLRACE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    book = nbformat.read(HERE / "examples" / "walkforward.ipynb", as_version=4)
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = "".join(str(output) for cell in book.cells for output in cell.get("outputs", []))
    assert "Walk-forward" in shown and "<svg" in shown and "image/png" in shown
