"""The package itself: its types, its wheel, and the notebook."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

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


def test_a_client_generated_of_the_document_compiles(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("openapi_python_client")
    (tmp_path / "openapi.json").write_bytes(httpx.get(server.url + "/docs/openapi.json").content)
    (tmp_path / "config.yml").write_text("content_type_overrides:\n  application/zip: application/octet-stream\npost_hooks: []\n")
    made = subprocess.run([sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--config", "config.yml", "--meta", "none",
                           "--output-path", "generated", "--fail-on-warning"], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    compiled = subprocess.run([sys.executable, "-m", "compileall", "-q", "generated"], cwd=tmp_path, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stdout
    module = tmp_path / "generated" / "api" / "backtests" / "get_backtests_tunes_by_id.py"
    assert "def sync(" in module.read_text()


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
