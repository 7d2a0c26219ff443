"""What a notebook shows: progress, heat map and verdict, in plain HTML without scripts."""

from __future__ import annotations

import sys
from html import escape
from typing import Any

COLORS = {"robust": "#1a7f37", "fragile": "#9a6700", "luck": "#cf222e", "undecided": "#57606a"}


def number(value: Any, digits: int = 4) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value)


def params(values: dict[str, Any] | None) -> str:
    return ", ".join(f"{escape(str(k))} = {number(v)}" for k, v in (values or {}).items())


def bar(done: float, whole: float, text: str) -> str:
    share = 100 * min(1.0, done / whole) if whole else 0
    return (f'<div style="background:#d0d7de;border-radius:4px;height:10px;max-width:480px">'
            f'<div style="background:#0969da;border-radius:4px;height:10px;width:{share:.1f}%"></div></div><div>{escape(text)}</div>')


def verdict(evidence: dict[str, Any] | None) -> str:
    if not evidence:
        return ""
    word = str(evidence.get("verdict", ""))
    return (f'<p><b style="color:{COLORS.get(word, "#57606a")}">{escape(word)}</b> {escape(str(evidence.get("because", "")))}</p>')


def table(rows: list[dict[str, Any]], columns: list[str]) -> str:
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(number(row.get(c)))}</td>" for c in columns) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def heat_map(rows: list[dict[str, Any]], x: str, y: str, score: str = "score") -> str:
    """The score by two parameters; the mean where others vary."""
    cells: dict[tuple[float, float], list[float]] = {}
    for row in rows:
        value = row.get(score)
        if value is not None and value == value:
            cells.setdefault((row[x], row[y]), []).append(float(value))
    if not cells:
        return ""
    means = {at: sum(v) / len(v) for at, v in cells.items()}
    xs, ys = sorted({at[0] for at in means}), sorted({at[1] for at in means})
    if len(xs) * len(ys) > 4000 or len(xs) < 2 or len(ys) < 2:
        return ""
    low, high = min(means.values()), max(means.values())
    width, height = max(6, min(26, 520 // len(xs))), max(6, min(22, 400 // len(ys)))
    marks = []
    for (cx, cy), value in means.items():
        share = (value - low) / (high - low) if high > low else 0.5
        hue = 10 + 120 * share
        marks.append(f'<rect x="{60 + xs.index(cx) * width}" y="{(len(ys) - 1 - ys.index(cy)) * height}" width="{width}" height="{height}" '
                     f'fill="hsl({hue:.0f},60%,{45 + 15 * abs(share - 0.5):.0f}%)"><title>{escape(x)} {number(cx)}, {escape(y)} {number(cy)}: {number(value)}</title></rect>')
    full = len(ys) * height
    text = 'font-size="10" font-family="sans-serif" fill="currentColor"'
    marks.append(f'<text x="60" y="{full + 12}" {text}>{number(xs[0])}</text><text x="{60 + len(xs) * width}" y="{full + 12}" text-anchor="end" {text}>{number(xs[-1])}</text>'
                 f'<text x="{60 + len(xs) * width / 2}" y="{full + 12}" text-anchor="middle" {text}>{escape(x)}</text>'
                 f'<text x="56" y="10" text-anchor="end" {text}>{number(ys[-1])}</text><text x="56" y="{full}" text-anchor="end" {text}>{number(ys[0])}</text>'
                 f'<text x="56" y="{full / 2}" text-anchor="end" {text}>{escape(y)[:9]}</text>')
    return f'<svg width="{70 + len(xs) * width}" height="{full + 18}" role="img" aria-label="{escape(score)} by {escape(x)} and {escape(y)}">{"".join(marks)}</svg>'


class Progress:
    """Shows how far something is: in place in a notebook, with tqdm where it is installed, or as lines."""

    def __init__(self, on: bool) -> None:
        self.on = on
        self._handle: Any = None
        self._tqdm: Any = None
        self._said = ""

    def show(self, entity: Any) -> None:
        if not self.on:
            return
        done, whole, text = entity._progress()
        if _in_notebook():
            from IPython.display import HTML, display

            shown = HTML(f"<b>{escape(type(entity).__name__.removeprefix('Async'))}</b> {bar(done, whole, text)}")
            if self._handle is None:
                self._handle = display(shown, display_id=True)
            else:
                self._handle.update(shown)
            return
        try:
            from tqdm import tqdm
        except ImportError:
            if text != self._said:
                self._said = text
                print(text, file=sys.stderr)
            return
        if self._tqdm is None:
            self._tqdm = tqdm(total=whole or None, unit="trials", leave=True)
        self._tqdm.total = whole or None
        self._tqdm.set_description_str(text, refresh=False)
        self._tqdm.update(max(0, done - self._tqdm.n))

    def close(self) -> None:
        if self._tqdm is not None:
            self._tqdm.close()


def _in_notebook() -> bool:
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and hasattr(shell, "kernel")
