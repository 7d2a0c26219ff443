"""What cannot be bars is refused here, naming the column and what to do."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from millrace import FrameError
from millrace._frames import to_file


def small() -> pd.DataFrame:
    days = pd.date_range("2020-01-01", periods=5)
    return pd.DataFrame({"open": 1.0, "high": 2.0, "low": 0.5, "close": [1.0, 1.1, 1.2, 1.3, 1.4], "volume": 10}, index=days)


def both(level: str) -> pd.DataFrame:
    return pd.concat({"AAPL": small(), "MSFT": small()}, names=[level])


BAD = {
    "index": (both("ticker"), "xs"),
    "columns": (pd.concat({"AAPL": small()}, axis=1), "xs"),
    "close": (small().assign(close=[1, 2, np.nan, 4, 5]), "dropna"),
    "high": (small().assign(high=["a"] * 5), "to_numeric"),
    "low": (small().assign(low=True), "to_numeric"),
    "open": (small().drop(columns="open"), "rename"),
    "Close": (small().assign(Close=1.0), "keep one"),
    "time": (small().reset_index(drop=True), "DatetimeIndex"),
    "frame": (small().iloc[:0], "no rows"),
    "date": (small().reset_index(names="date").assign(date=range(5)), "to_datetime"),
    "timestamp": (small().reset_index(names="timestamp").assign(time="2020-01-01"), "keep one"),
}


@pytest.mark.parametrize("field", BAD)
def test_a_bad_frame_names_the_field_and_what_to_do(field: str) -> None:
    frame, advice = BAD[field]
    with pytest.raises(FrameError, match=advice) as caught:
        to_file(frame, "x")
    assert caught.value.field == field


@pytest.mark.parametrize(("frame", "advice"), [
    (small().iloc[::-1], "sort_index"),
    (pd.concat([small(), small()]).sort_index(), "duplicated"),
    (small().set_axis(pd.period_range("2020-01-01", periods=5)), "to_timestamp"),
    (small().set_axis(pd.DatetimeIndex([pd.NaT, *small().index[1:]])), "no time"),
])
def test_times_that_are_not_a_series(frame: pd.DataFrame, advice: str) -> None:
    with pytest.raises(FrameError, match=advice) as caught:
        to_file(frame, "x")
    assert caught.value.field == "index"


def test_what_is_not_a_frame() -> None:
    for thing, advice in ((small()["close"], "DataFrame"), ([1, 2], "DataFrame"), ("/nowhere/bars.csv", "there is no file"), (None, "DataFrame")):
        with pytest.raises(FrameError, match=advice):
            to_file(thing, "x")


def test_times_and_numbers_arrive_as_they_are() -> None:
    name, sent = to_file(small(), "x")
    assert name == "x.csv"
    back = pd.read_csv(io.BytesIO(sent))
    assert list(back["time"]) == [f"2020-01-0{d}" for d in range(1, 6)]
    assert [float(v) for v in back["close"]] == pytest.approx(list(small()["close"]), rel=1e-15)
    zoned = small().tz_localize("America/New_York")
    assert b"2020-01-01T05:00:00.000000Z" in to_file(zoned, "x")[1]
    intraday = small().set_axis(pd.date_range("2020-01-01 09:30", periods=5, freq="5min"))
    assert b"2020-01-01T09:35:00.000000," in to_file(intraday, "x")[1]


def test_polars_and_arrow() -> None:
    good = pl.from_pandas(small().reset_index(names="time"))
    assert to_file(good, "x")[1][:4] == to_file(good.lazy(), "x")[1][:4] == to_file(good.to_arrow(), "x")[1][:4] == b"PAR1"
    for bad, field, advice in (
        (good.with_columns(close=pl.when(pl.col("close") > 1.1).then(pl.col("close"))), "close", "drop_nulls"),
        (good.with_columns(close=pl.lit("a")), "close", "cast"),
        (good.reverse(), "time", "sort"),
        (pl.concat([good, good]).sort("time"), "time", "unique"),
        (good.drop("low"), "low", "rename"),
        (pa.table({"a": [1]}), "open", "rename"),
    ):
        with pytest.raises(FrameError, match=advice) as caught:
            to_file(bad, "x")
        assert caught.value.field == field
