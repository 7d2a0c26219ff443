"""Frames in and out: bars that are uploaded, tables that are read."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import sys
from pathlib import Path
from typing import Any, Literal

from ._calls import ARROW
from ._errors import ConfigError, FrameError

As = Literal["pandas", "polars", "arrow", "dicts"]
PRICES = ("open", "high", "low", "close")
TIMES = ("time", "timestamp", "date", "datetime")


def have(module: str) -> bool:
    return module in sys.modules or importlib.util.find_spec(module) is not None


def default_as() -> As:
    """The best of what is installed."""
    for module, kind in (("pandas", "pandas"), ("polars", "polars"), ("pyarrow", "arrow")):
        if have(module):
            return kind  # type: ignore[return-value]
    return "dicts"


def chosen(to: As | None) -> As:
    to = to or default_as()
    if to not in ("pandas", "polars", "arrow", "dicts"):
        raise ConfigError("to", f"{to!r} is not a kind of table; choose pandas, polars, arrow or dicts")
    module = {"arrow": "pyarrow"}.get(to, to)
    if to != "dicts" and not have(module):
        raise ConfigError("to", f"{module} is not installed: pip install {module}")
    return to


def wire(to: As) -> str:
    """The media type to ask for: columns where they can be read, or else CSV."""
    return ARROW if to in ("polars", "arrow") or (to == "pandas" and have("pyarrow")) else "text/csv"


def plain(to: As | None) -> str | None:
    """JSON in place of a CSV that has columns of another program."""
    return "json" if wire(chosen(to)) == "text/csv" else None


def table(content: bytes, media: str, to: As, index: str | None = None) -> Any:
    """Make a table of an answer. In pandas a column of times becomes the index of a series in time."""
    if media.startswith(ARROW):
        if to == "polars":
            return importlib.import_module("polars").read_ipc_stream(io.BytesIO(content))
        found = importlib.import_module("pyarrow.ipc").open_stream(content).read_all()
        if to == "arrow":
            return found
        frame = found.to_pandas()
    elif media.startswith("application/json"):
        rows = json.loads(content)["items"]
        if to == "dicts":
            return rows
        frame = _timed(importlib.import_module("pandas").DataFrame(rows))
    else:
        if to == "dicts":
            import csv

            return [{k: _value(v) for k, v in row.items()} for row in csv.DictReader(io.StringIO(content.decode()))]
        pandas = importlib.import_module("pandas")
        exact = {"float_precision": "round_trip"} if pandas.__version__.startswith("2.") else {}  # later ones always are
        frame = _timed(pandas.read_csv(io.BytesIO(content), **exact))
    return frame.set_index(index) if index and index in frame.columns else frame


def _timed(frame: Any) -> Any:
    for name in frame.columns:
        if name == "time" or str(name).endswith("_time"):
            frame[name] = importlib.import_module("pandas").to_datetime(frame[name], utc=True, format="ISO8601")
    return frame


def _value(text: str) -> Any:
    if text == "":
        return None
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return {"true": True, "false": False}.get(text, text)


def to_file(frame: Any, name: str) -> tuple[str, bytes]:
    """The file that is sent for a frame, a path or bytes. What cannot be bars raises FrameError."""
    if isinstance(frame, (str, os.PathLike)):
        path = Path(frame)
        if not path.is_file():
            raise FrameError("frame", f"there is no file {path}; pass a frame, bytes or the path of a CSV or Parquet file")
        return path.name, path.read_bytes()
    if isinstance(frame, (bytes, bytearray)):
        return f"{name}.{'parquet' if frame[:4] == b'PAR1' else 'csv'}", bytes(frame)
    module = type(frame).__module__.partition(".")[0]
    if module == "pandas":
        return _pandas(frame, name)
    if module == "polars":
        if type(frame).__name__ == "LazyFrame":
            frame = frame.collect()
        out = io.BytesIO()
        _checked_polars(frame).write_parquet(out)
        return name + ".parquet", out.getvalue()
    if module == "pyarrow":
        _columns([str(c) for c in frame.column_names], None)
        out = io.BytesIO()
        importlib.import_module("pyarrow.parquet").write_table(frame, out)
        return name + ".parquet", out.getvalue()
    raise FrameError("frame", f"is a {type(frame).__name__}; pass a DataFrame of pandas or polars, an Arrow table, bytes or a path")


def _columns(names: list[str], index_time: str | None) -> tuple[str | None, dict[str, str]]:
    """The column of times (None: the index), and ours to the frame's names."""
    by: dict[str, str] = {}
    for name in names:
        low = name.strip().lower()
        if low in (*PRICES, "volume", *TIMES) and low in by:
            raise FrameError(name, f"there is a column {by[low]!r} as well; keep one of them")
        by.setdefault(low, name)
    for price in PRICES:
        if price not in by:
            raise FrameError(price, f"is missing; the columns are {', '.join(map(repr, names)) or 'none'}. Rename yours with frame.rename(columns={{...}})")
    times = [by[t] for t in TIMES if t in by]
    if index_time is not None:
        return None, by
    if not times:
        raise FrameError("time", f"there is no column of times ({', '.join(TIMES)}), and the index does not hold any; call it 'time', or use a DatetimeIndex")
    if len(times) > 1:
        raise FrameError(times[1], f"there is a column {times[0]!r} as well; keep one column of times")
    return times[0], by


def _pandas(frame: Any, name: str) -> tuple[str, bytes]:
    pandas = importlib.import_module("pandas")
    if not isinstance(frame, pandas.DataFrame):
        raise FrameError("frame", f"is a {type(frame).__name__}; pass a DataFrame with open, high, low and close")
    if frame.columns.nlevels > 1:
        first = [str(v) for v in list(dict.fromkeys(frame.columns.get_level_values(-1)))[:3]]
        raise FrameError("columns", f"are a MultiIndex of {frame.columns.nlevels} levels ({', '.join(first)}, …): choose one instrument, as in "
                         "frame.xs('AAPL', axis=1, level=1), or frame.columns = frame.columns.get_level_values(0)")
    if frame.index.nlevels > 1:
        levels = [str(n) for n in frame.index.names]
        raise FrameError("index", f"is a MultiIndex of {', '.join(levels)}: choose one instrument, as in frame.xs('AAPL', level={levels[0]!r}), and upload each under its own name")
    if len(frame) == 0:
        raise FrameError("frame", "has no rows")
    index_time = "index" if isinstance(frame.index, pandas.DatetimeIndex) else None
    if isinstance(frame.index, pandas.PeriodIndex):
        raise FrameError("index", "holds periods, not times: use frame.to_timestamp()")
    time, by = _columns([str(c) for c in frame.columns], index_time)
    out: dict[str, Any] = {}
    times = frame.index if time is None else frame[time]
    where = "index" if time is None else time
    if time is not None and not pandas.api.types.is_datetime64_any_dtype(times):
        if pandas.api.types.is_numeric_dtype(times):
            raise FrameError(where, f"is of dtype {times.dtype}: say what the numbers are, as in pandas.to_datetime(frame[{time!r}], unit='s', utc=True)")
        try:
            times = pandas.to_datetime(times)
        except (ValueError, TypeError) as err:
            raise FrameError(where, f"cannot be read as times: {err}; use pandas.to_datetime with a format") from err
    times = pandas.DatetimeIndex(times)
    if times.isna().any():
        raise FrameError(where, f"row {int(times.isna().argmax())} has no time, and {int(times.isna().sum())} in all: drop them with frame[frame[…].notna()]")
    if not times.is_monotonic_increasing:
        raise FrameError(where, "is not in order: use frame.sort_index()" if time is None else f"is not in order: use frame.sort_values({time!r})")
    if not times.is_unique:
        row = int(times.duplicated().argmax())
        raise FrameError(where, f"row {row} repeats the time {times[row]}: keep one row of each, as in frame[~frame.index.duplicated()]")
    utc = times.tz_convert("UTC") if times.tz is not None else times
    out["time"] = utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if times.tz is not None else "%Y-%m-%dT%H:%M:%S.%f")
    if times.tz is None and bool((times == times.normalize()).all()):
        out["time"] = utc.strftime("%Y-%m-%d")
    for column in (*PRICES, "volume"):
        if column in by:
            out[column] = _numbers(pandas, frame[by[column]], by[column])
    body = pandas.DataFrame(out).to_csv(index=False)
    return name + ".csv", body.encode()


def _numbers(pandas: Any, values: Any, column: str) -> Any:
    api = pandas.api.types
    if not api.is_numeric_dtype(values) or api.is_bool_dtype(values) or api.is_complex_dtype(values):
        raise FrameError(column, f"is of dtype {values.dtype}, not a number: use frame[{column!r}] = pandas.to_numeric(frame[{column!r}])")
    plain = values.astype("float64").to_numpy()
    bad = ~((plain == plain) & (abs(plain) != float("inf")))
    if bad.any():
        row = int(bad.argmax())
        raise FrameError(column, f"row {row} ({values.index[row]}) is {plain[row]}, and {int(bad.sum())} rows have a gap: fill them, or leave the rows out with frame.dropna()")
    return plain


def _checked_polars(frame: Any) -> Any:
    time, by = _columns([str(c) for c in frame.columns], None)
    if frame.height == 0:
        raise FrameError("frame", "has no rows")
    for column in (*PRICES, "volume"):
        if column not in by:
            continue
        series = frame[by[column]]
        if not series.dtype.is_numeric():
            raise FrameError(by[column], f"is of dtype {series.dtype}, not a number: cast it to Float64")
        gaps = series.is_null() | series.cast(importlib.import_module("polars").Float64).is_nan()
        if gaps.any():
            raise FrameError(by[column], f"row {gaps.arg_max()} has a gap, and {gaps.sum()} in all: fill them, or leave the rows out with frame.drop_nulls()")
    series = frame[time]
    if series.null_count():
        raise FrameError(str(time), f"{series.null_count()} rows have no time: leave them out with frame.drop_nulls()")
    if not series.is_sorted():
        raise FrameError(str(time), f"is not in order: use frame.sort({time!r})")
    if series.n_unique() != len(series):
        raise FrameError(str(time), f"repeats times: use frame.unique({time!r}, maintain_order=True)")
    return frame
