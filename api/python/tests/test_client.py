"""The client against answers that a real server gives rarely."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import millrace
import make_async
from millrace._calls import pauses

Handler = Callable[[httpx.Request], httpx.Response]


def against(*answers: httpx.Response | Exception, patience: float = 20) -> tuple[millrace.Client, list[httpx.Request]]:
    asked: list[httpx.Request] = []
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return millrace.Client("http://server", "mr_secret", transport=httpx.MockTransport(handle), patience=patience), asked


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def tune(status: str = "running", **more: object) -> httpx.Response:
    return httpx.Response(200, json={"tune_id": "t", "status": status, "n_trials": 4, "trials_completed": 1, "best_params": None, **more})


def problem(status: int, headers: dict[str, str] | None = None, **more: object) -> httpx.Response:
    return httpx.Response(status, headers=headers, json={"title": "T", "status": status, **more})


def test_a_key_is_kept_across_retries() -> None:
    busy = problem(409, {"Retry-After": "0"}, detail="still running")
    client, asked = against(httpx.ConnectError("refused"), problem(503), httpx.ReadError("cut"), busy, problem(429), tune())
    assert client.tune("spx", "sma_cross", {"fast": range(5, 11, 5)}).id == "t"
    keys = {request.headers["X-Idempotency-Key"] for request in asked}
    assert len(asked) == 6 and len(keys) == 1 and len({request.content for request in asked}) == 1
    assert json.loads(asked[0].content)["param_space"] == {"fast": {"low": 5, "high": 10, "step": 5}}
    client.tune("spx", "sma_cross")
    assert asked[-1].headers["X-Idempotency-Key"] not in keys


def test_a_server_that_is_away_for_good_ends_the_patience() -> None:
    client, _ = against(httpx.ConnectError("refused"), patience=1)
    with pytest.raises(millrace.UnreachableError, match="did not answer for 1 s") as caught:
        client.tune("spx", "sma_cross", key="mine")
    assert caught.value.idempotency_key == "mine"
    assert sum(pauses(10)) == pytest.approx(10)


def test_a_problem_names_its_fields() -> None:
    client, asked = against(problem(422, detail="The request is not valid.", errors=[{"field": "oos_ratio", "message": "is too large", "limit": [0, 0.5]}]))
    with pytest.raises(millrace.APIError, match="oos_ratio: is too large; choose from 0, 0.5") as caught:
        client.tune("spx", "sma_cross", oos_ratio=0.9)
    assert caught.value.fields == ["oos_ratio"] and len(asked) == 1


def test_a_key_that_is_revoked_while_waiting() -> None:
    client, _ = against(tune(), problem(401, detail="The key was revoked while this request waited."))
    with pytest.raises(millrace.AuthError, match="MILLRACE_API_KEY"):
        millrace.Tune(client, {"tune_id": "t", "status": "running"}).wait()


def test_an_older_server() -> None:
    """It has no streams of entities, and does not know how to wait."""
    client, asked = against(problem(404), tune(), tune(), tune("completed"))
    assert millrace.Tune(client, {"tune_id": "t", "status": "running"}).wait(progress=True).status == "completed"
    assert [request.url.path for request in asked] == ["/backtests/tunes/t/events"] + ["/backtests/tunes/t"] * 3
    client, _ = against(problem(404))
    with pytest.raises(millrace.VersionError, match="not older than this client"):
        client.get_tune("t").leaderboard()


def test_a_newer_server() -> None:
    """Members and statuses that this client does not know do no harm."""
    client, _ = against(tune("distilled", moon_phase=3))
    found = millrace.Tune(client, {"tune_id": "t", "status": "running"}).wait()
    assert found.status == "distilled" and found["moon_phase"] == 3 and "distilled" in found._repr_html_()


def test_not_a_millrace_server() -> None:
    client, _ = against(httpx.Response(404, text="<html>nginx"))
    with pytest.raises(millrace.VersionError):
        client.get_tune("t")
    client, _ = against(httpx.Response(200, json=[1]))
    with pytest.raises(millrace.APIError, match="not that of a Millrace server"):
        client.get_tune("t")


def event(n: int, kind: str = "backtest.tune.progress") -> str:
    return f'id: c{n}\nevent: {kind}\ndata: {{"entity_id":"t","payload":{{"trials_completed":{n}}}}}\n\n'


def test_a_stream_resumes_by_itself() -> None:
    begins = httpx.Response(200, headers={"Last-Event-ID": "c0"}, text="retry: 1\n:\n" + event(1) + "id: c9\nevent: cut sho")
    client, asked = against(begins, httpx.ReadError("cut"), problem(503), httpx.Response(200, text=":\n:\n" + event(2) + event(3, "cursor")),
                            httpx.Response(200, text=event(4, "reset") + event(5, "end")))
    seen = [e.id for e in millrace.Tune(client, {"tune_id": "t"}).events()]
    assert seen == ["c1", "c2", "c4"]
    assert [request.headers.get("Last-Event-ID") for request in asked] == [None, "c1", "c1", "c1", "c3"]


def test_a_stream_of_what_has_ended_is_over() -> None:
    client, _ = against(httpx.Response(204))
    assert list(millrace.Tune(client, {"tune_id": "t"}).events()) == []


def test_a_wait_has_a_limit_of_its_own() -> None:
    client, asked = against(tune())
    with pytest.raises(TimeoutError):
        millrace.Tune(client, {"tune_id": "t", "status": "running"}).wait(timeout=0.05)
    client, _ = against(tune("failed", error="out of luck"))
    with pytest.raises(millrace.EndedError, match="out of luck"):
        millrace.Tune(client, {"tune_id": "t", "status": "running"}).wait()


def test_the_key_is_nowhere_to_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, asked = against(problem(403, detail="no"))
    with pytest.raises(millrace.AuthError) as caught:
        client.tunes()
    for text in (repr(client), repr(client.config), str(caught.value), str(asked[0].url)):
        assert "mr_secret" not in text
    with pytest.raises(millrace.ConfigError, match="holds a password"):
        millrace.Client("http://me:mr_secret@server", "k")


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MILLRACE_URL", "MILLRACE_API_KEY", "MILLRACE_WORKSPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(millrace.ConfigError, match="millrace dev") as caught:
        millrace.Client.from_env()
    assert caught.value.field == "MILLRACE_URL"
    (tmp_path / ".millrace").mkdir()
    (tmp_path / ".millrace/dev.env").write_text("# dev\nexport MILLRACE_URL='http://dev:1'\nMILLRACE_API_KEY=mr_dev\nMILLRACE_WORKSPACE_ID=w\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    config = millrace.Client.from_env().config
    assert (config.url, config.key, config.workspace) == ("http://dev:1", "mr_dev", "w")
    monkeypatch.setenv("MILLRACE_URL", "http://elsewhere")
    with pytest.raises(millrace.ConfigError) as caught:  # the file's key is for the file's server
        millrace.Client.from_env()
    assert caught.value.field == "MILLRACE_API_KEY"
    with pytest.raises(millrace.ConfigError, match="cannot be read"):
        millrace.Client.from_env(tmp_path / "none.env")


def test_the_async_client_is_made_of_the_other() -> None:
    for path, text in make_async.twins().items():
        assert path.read_text() == text, "run python make_async.py"


def test_a_space_that_is_not_one() -> None:
    client, _ = against(tune())
    for bad, field in (({"fast": 5}, "space.fast"), ({"fast": "5:10"}, "space.fast"), ({"fast": range(0)}, "space.fast")):
        with pytest.raises(millrace.ConfigError) as caught:
            client.tune("spx", "sma_cross", bad)  # type: ignore[arg-type]
        assert caught.value.field == field
    with pytest.raises(millrace.ConfigError, match="upload"):
        client.tune(object(), "sma_cross")


def test_schedules_are_made_changed_run_and_deleted() -> None:
    made = {"schedule_id": "a/b", "name": "nightly", "paused": False}
    client, asked = against(
        httpx.Response(503, json={}), httpx.Response(201, json=made), httpx.Response(200, json={**made, "paused": True}),
        httpx.Response(202, json={"slot_id": "s", "state": "due"}), httpx.Response(200, json={"items": [{"slot_id": "s"}], "next_cursor": None}),
        httpx.Response(200, json={"items": [made], "next_cursor": None}), httpx.Response(204),
    )
    request = {"dataset": "spx", "strategy_name": "sma_cross"}
    assert client.schedule("nightly", "tune", request, cron="30 6 * * *", time_zone="Europe/Berlin", missed_policy="all")["schedule_id"] == "a/b"
    assert asked[0].headers["X-Idempotency-Key"] == asked[1].headers["X-Idempotency-Key"]
    assert json.loads(asked[1].content) == {"name": "nightly", "kind": "tune", "request": request, "cron": "30 6 * * *", "time_zone": "Europe/Berlin", "missed_policy": "all"}
    assert client.change_schedule("a/b", paused=True)["paused"] is True
    assert (asked[2].method, asked[2].url.raw_path) == ("PATCH", b"/schedules/a%2Fb")
    assert client.run_schedule("a/b", key="once")["state"] == "due"
    assert asked[3].headers["X-Idempotency-Key"] == "once"
    assert client.schedule_history("a/b") == [{"slot_id": "s"}]
    assert client.schedules() == [made]
    client.delete_schedule("a/b")
    assert asked[-1].method == "DELETE"


def test_webhooks_are_made_changed_rotated_tested_and_deleted() -> None:
    made = {"webhook_id": "a/b", "state": "active", "secret": "whsec_x"}
    sent = {"delivery_id": "evt_1", "state": "pending"}
    bodies = [made, made, made, sent, {"items": [sent]}, sent, {"items": [made], "next_cursor": None}]
    client, asked = against(*(httpx.Response(200, json=body) for body in bodies), httpx.Response(204))
    assert client.add_webhook("https://example.com/hook", types=["wfo.run.*"])["secret"] == "whsec_x"
    assert json.loads(asked[0].content)["types"] == ["wfo.run.*"]
    assert client.change_webhook("a/b", state="paused")["webhook_id"] == "a/b"
    assert (asked[1].method, asked[1].url.raw_path) == ("PATCH", b"/webhooks/a%2Fb")
    assert client.rotate_webhook("a/b", overlap_seconds=60, key="once")["secret"] == "whsec_x"
    assert asked[2].headers["X-Idempotency-Key"] == "once"
    assert client.test_webhook("a/b") == sent
    assert client.webhook_deliveries("a/b", state="pending") == [sent]
    assert client.redeliver("a/b", "evt_1") == sent
    assert asked[5].url.raw_path == b"/webhooks/a%2Fb/deliveries/evt_1/redeliver"
    assert client.webhooks() == [made]
    client.delete_webhook("a/b")
    assert asked[7].method == "DELETE"


def test_a_deletion_whose_answer_was_lost_has_succeeded() -> None:
    for gone in (httpx.ReadError("cut"), httpx.RemoteProtocolError("cut"), problem(502), problem(504)):
        client, asked = against(gone, problem(503), problem(404, detail="There is no such tune."))
        assert client.delete("tune", "t") == {} and len(asked) == 3
        client, _ = against(gone, problem(404, detail="There is no such schedule."))
        client.delete_schedule("s")
        client, _ = against(gone, problem(404, detail="There is no such webhook."))
        client.delete_webhook("w")


def test_a_deletion_of_nothing_is_still_refused() -> None:
    """Nothing was sent where no connection came about, and a look has no effect that could have been lost."""
    missing = problem(404, detail="There is no such tune.")
    for answers, dry in (([missing], False), ([httpx.ConnectError("refused"), missing], False), ([problem(503), missing], False),
                         ([httpx.ReadError("cut"), missing], True)):
        client, _ = against(*answers)
        with pytest.raises(millrace.NotFoundError):
            client.delete("tune", "t", dry_run=dry)


def test_a_change_of_many_whose_answer_was_lost_has_succeeded() -> None:
    def finds(n: int) -> httpx.Response:
        return problem(409, detail="Nothing was changed.", errors=[{"field": "confirm", "message": f"is 3, and the filter finds {n}", "limit": n}])

    # The server knows the request again by its key and continues with what is left, so a refusal is of another's making.
    done = httpx.Response(200, json={"kind": "tune", "action": "cancel", "dry_run": False, "matched": 3, "changed": 3})
    client, asked = against(httpx.ReadError("cut"), done)
    assert client.bulk("tune", "cancel", confirm=3, status="running")["changed"] == 3
    assert len({request.headers["X-Idempotency-Key"] for request in asked}) == 1 and len(asked) == 2
    for answers in ([finds(0)], [httpx.ReadError("cut"), finds(2)], [httpx.ConnectError("refused"), finds(0)]):
        client, _ = against(*answers)
        with pytest.raises(millrace.APIError, match="confirm"):
            client.bulk("tune", "cancel", confirm=3, status="running")
