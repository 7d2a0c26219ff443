// Charts over time: each figure[data-plot] holds a chart.Plot as JSON, and uPlot draws it. The same
// values are read with the pointer, by touch, with the arrow keys, in a table, and as CSV.
"use strict";
(() => {
  const all = new Set(); // what is drawn on the page: zoom and crosshair are common to them
  const views = new Map(); // by figure: how a chart was looked at when its part of the page was swapped
  const sync = typeof uPlot === "undefined" ? null : uPlot.sync("time");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name === "down" ? "bad" : name}`).trim();
  const faded = (hex, a) => `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",")},${a})`;
  const day = 86400;

  const figure = (v) => {
    if (v == null || !Number.isFinite(v)) return "–";
    const a = Math.abs(v);
    const text = a >= 1e6 ? v.toFixed(0) : a >= 1000 ? v.toFixed(1) : a >= 1 || a === 0 ? v.toFixed(2) : v.toPrecision(3);
    return text.replace("-", "−").replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, "\u202f");
  };
  const stamp = (s, step) => {
    const iso = new Date(s * 1000).toISOString();
    return step >= day * 0.8 ? iso.slice(0, 10) : iso.slice(0, step < 60 ? 19 : 16).replace("T", " ");
  };

  class Chart {
    constructor(el) {
      this.el = el;
      this.whole = this.data = JSON.parse(el.querySelector("script").textContent);
      const was = views.get(el.id) || {};
      this.log = Boolean(was.log && this.whole.log);
      this.hidden = new Set(this.whole.lines.flatMap((l, i) => (was.hidden?.includes(l.name) ? [i] : [])));
      this.at = -1;
      this.build();
      this.draw();
      if (was.range) this.show(was.range);
      if (was.at != null && this.u) this.move(Math.max(this.data.x.findIndex((x) => x >= was.at), 0));
      this.resize = new ResizeObserver(() => { if (el.clientWidth && el.clientWidth !== this.width) this.draw(); });
      this.resize.observe(el);
    }
    step() {
      const x = this.whole.x;
      return x.length > 1 ? (x[x.length - 1] - x[0]) / x.length : day;
    }
    build() {
      const d = this.whole;
      const bar = document.createElement("div");
      bar.className = "plotbar";
      const legend = bar.appendChild(document.createElement("div"));
      legend.className = "legend";
      d.lines.forEach((line, i) => {
        const b = legend.appendChild(document.createElement("button"));
        b.type = "button";
        b.setAttribute("aria-pressed", String(!this.hidden.has(i)));
        b.title = `Show or hide ${line.name}`;
        const key = b.appendChild(document.createElement("i"));
        key.className = line.class;
        b.append(line.name);
        b.addEventListener("click", () => {
          this.hidden.has(i) ? this.hidden.delete(i) : this.hidden.add(i);
          b.setAttribute("aria-pressed", String(!this.hidden.has(i)));
          this.u.setSeries(i + 1, { show: !this.hidden.has(i) });
        });
      });
      const tools = bar.appendChild(document.createElement("div"));
      tools.className = "tools";
      const tool = (name, label, click) => {
        const b = tools.appendChild(document.createElement("button"));
        b.type = "button";
        b.textContent = name;
        b.setAttribute("aria-label", `${name}: ${label}, ${d.title}`);
        b.title = label;
        b.addEventListener("click", () => click(b));
        return b;
      };
      if (d.log) {
        tool("Log", "Logarithmic scale", (b) => {
          this.log = !this.log;
          b.setAttribute("aria-pressed", String(this.log));
          this.draw();
        }).setAttribute("aria-pressed", String(this.log));
      }
      this.reset = tool("Reset", d.numeric ? "Show all" : "Show all of the time", () => this.zoom(null));
      this.reset.disabled = true;
      tool("PNG", "Save as an image", () => this.png());
      const csv = tools.appendChild(document.createElement("a"));
      csv.textContent = "CSV";
      csv.className = "button";
      csv.download = `${d.id}.csv`;
      csv.href = d.csv || "#";
      csv.setAttribute("aria-label", `CSV: every value of ${d.title}`);
      if (!d.csv) csv.addEventListener("click", () => { csv.href = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" })); });

      this.read = document.createElement("div");
      this.read.className = "readout mono";
      this.read.textContent = d.x.length ? "Point at the chart, or use the arrow keys; drag to zoom" : "";
      this.pane = document.createElement("div");
      this.pane.className = "plane";
      this.pane.tabIndex = 0;
      this.pane.setAttribute("role", "slider");
      this.pane.setAttribute("aria-label", `${d.title}. Arrow keys read values, + and − zoom, Escape shows all`);
      this.pane.setAttribute("aria-valuemin", "0");
      this.pane.setAttribute("aria-valuemax", String(Math.max(d.x.length - 1, 0)));
      this.pane.setAttribute("aria-valuenow", "0");
      this.pane.setAttribute("aria-valuetext", "no value is read yet");
      this.pane.addEventListener("keydown", (e) => this.key(e));
      this.pane.addEventListener("pointermove", (e) => {
        if (e.pointerType === "mouse" || !this.u) return;
        const box = this.u.over.getBoundingClientRect();
        this.u.setCursor({ left: e.clientX - box.left, top: e.clientY - box.top });
      });
      this.note = document.createElement("p");
      this.note.className = "small muted";
      const table = document.createElement("details");
      const summary = table.appendChild(document.createElement("summary"));
      summary.textContent = "Values as a table";
      table.addEventListener("toggle", () => { if (table.open) this.table(table); });
      this.details = table;
      this.el.append(bar, this.pane, this.read, this.note, table);
    }
    draw() {
      this.u?.destroy();
      if (this.u) sync.unsub(this.u);
      this.width = this.el.clientWidth;
      const d = this.data, muted = colour("muted"), line = colour("line"), tight = this.width < 500;
      this.note.textContent = d.note || "";
      this.note.hidden = !d.note;
      if (!d.x.length || !d.lines.some((l) => l.values.some((v) => v != null))) {
        this.pane.textContent = "No values yet: the window is too short.";
        this.pane.classList.add("empty");
        this.u = null;
        return;
      }
      const axis = { stroke: muted, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 }, font: "11px ui-sans-serif, system-ui, sans-serif" };
      const step = this.step();
      this.u = new uPlot({
        width: this.width, height: d.height, tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "UTC"), legend: { show: false },
        padding: [10, 8, 0, 0],
        cursor: {
          sync: d.numeric ? undefined : { key: "time", setSeries: false }, drag: { x: true, y: false, setScale: false }, y: false, points: { size: 6 },
          bind: { dblclick: () => () => this.zoom(null) },
        },
        scales: { x: { time: !d.numeric, range: this.range ? () => this.range : undefined }, y: { distr: this.log ? 3 : 1 } },
        axes: [
          { ...axis, space: tight ? 70 : 90 },
          { ...axis, size: tight ? 46 : 58, values: (u, ticks) => ticks.map((v) => (v == null ? "" : short(v))) },
        ],
        series: [{}, ...d.lines.map((l, i) => ({
          label: l.name, stroke: colour(l.class), width: 1.4, spanGaps: false, show: !this.hidden.has(i), points: { show: d.x.length === 1 },
          fill: l.area ? faded(colour(l.class), 0.14) : undefined, fillTo: 0,
        }))],
        hooks: {
          drawClear: [(u) => this.shade(u)],
          draw: [(u) => this.marks(u)],
          setCursor: [(u) => this.point(u.cursor.idx)],
          setSelect: [(u) => {
            if (u.select.width < 6) return;
            const from = u.posToVal(u.select.left, "x"), to = u.posToVal(u.select.left + u.select.width, "x");
            u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            this.zoom([from, Math.max(to, from + step)]);
          }],
        },
      }, [d.x, ...d.lines.map((l) => l.values)], (u, init) => {
        this.pane.replaceChildren(u.root);
        init();
      });
    }
    shade(u) {
      const { ctx, bbox } = u;
      ctx.save();
      for (const s of this.data.spans || []) {
        const from = Math.max(u.valToPos(s.from, "x", true), bbox.left), to = Math.min(u.valToPos(s.to, "x", true), bbox.left + bbox.width);
        if (!(to > from)) continue;
        ctx.fillStyle = faded(colour("s2"), 0.08);
        ctx.fillRect(from, bbox.top, to - from, bbox.height);
        if (to - from < 90 * devicePixelRatio) continue;
        ctx.fillStyle = colour("muted");
        ctx.font = `${11 * devicePixelRatio}px ui-sans-serif, system-ui, sans-serif`;
        ctx.textAlign = "center";
        ctx.fillText(s.name, (from + to) / 2, bbox.top + 12 * devicePixelRatio);
      }
      ctx.restore();
    }
    marks(u) {
      const { ctx, bbox } = u, r = 4.5 * devicePixelRatio;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      for (const m of this.data.marks || []) {
        const x = u.valToPos(m.t, "x", true), y = u.valToPos(m.v, "y", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.fillStyle = ctx.strokeStyle = colour(m.kind === "long" ? "good" : m.kind === "short" ? "bad" : "text");
        ctx.lineWidth = 1.5 * devicePixelRatio;
        ctx.beginPath();
        if (m.kind === "exit") {
          ctx.moveTo(x - r * 0.7, y - r * 0.7); ctx.lineTo(x + r * 0.7, y + r * 0.7);
          ctx.moveTo(x + r * 0.7, y - r * 0.7); ctx.lineTo(x - r * 0.7, y + r * 0.7);
          ctx.stroke();
          continue;
        }
        const up = m.kind === "long" ? 1 : -1; // long points up from below the price, short down from above
        ctx.moveTo(x, y + up * 2); ctx.lineTo(x - r, y + up * (r * 2)); ctx.lineTo(x + r, y + up * (r * 2));
        ctx.closePath();
        ctx.fill();
      }
      ctx.restore();
    }
    words(i) {
      const d = this.data;
      const parts = d.lines.map((l, k) => (this.hidden.has(k) || l.values[i] == null ? "" : `${l.name} ${figure(l.values[i])}${d.unit ? ` ${d.unit}` : ""}`)).filter(Boolean);
      const near = (d.marks || []).filter((m) => Math.abs(m.t - d.x[i]) <= this.gap() / 2).slice(0, 3).map((m) => m.text);
      return `${this.stamp(d.x[i])}  ${[...parts, ...near].join(" · ")}`;
    }
    stamp(x) { return this.whole.numeric ? `trial ${x}` : stamp(x, this.step()); }
    zoom(range) {
      if (!this.whole.numeric) return zoom(range);
      const x = this.whole.x;
      if (range) range = [Math.max(range[0], x[0]), Math.min(range[1], x[x.length - 1])];
      this.show(range && range[1] > range[0] ? range : null);
    }
    gap() {
      const x = this.data.x;
      return x.length > 1 ? (x[x.length - 1] - x[0]) / (x.length - 1) : 1;
    }
    point(i) {
      if (i == null || this.data.x[i] == null) return;
      this.at = i;
      this.read.textContent = this.words(i);
      this.pane.setAttribute("aria-valuenow", String(i));
      this.pane.setAttribute("aria-valuemax", String(this.data.x.length - 1));
      this.pane.setAttribute("aria-valuetext", this.words(i));
    }
    move(i) {
      const d = this.data;
      let low = 0, high = d.x.length - 1;
      if (this.range) {
        while (low < high && d.x[low] < this.range[0]) low++;
        while (high > low && d.x[high] > this.range[1]) high--;
      }
      i = Math.min(Math.max(i, low), high);
      const values = d.lines.find((l, k) => !this.hidden.has(k) && l.values[i] != null);
      this.u.setCursor({ left: this.u.valToPos(d.x[i], "x"), top: values ? this.u.valToPos(values.values[i], "y") : 0 });
      this.point(i);
    }
    key(e) {
      if (!this.u || e.ctrlKey || e.metaKey || e.altKey) return;
      const n = this.data.x.length, here = this.at < 0 ? n - 1 : this.at;
      const [from, to] = this.range || [this.whole.x[0], this.whole.x[this.whole.x.length - 1]];
      const middle = this.at < 0 ? (from + to) / 2 : this.data.x[here], wide = to - from;
      const go = {
        ArrowRight: () => (e.shiftKey ? this.zoom([from + wide / 4, to + wide / 4]) : this.move(here + 1)),
        ArrowLeft: () => (e.shiftKey ? this.zoom([from - wide / 4, to - wide / 4]) : this.move(here - 1)),
        ArrowUp: () => this.move(here + 1), ArrowDown: () => this.move(here - 1),
        PageUp: () => this.move(here + Math.ceil(n / 10)), PageDown: () => this.move(here - Math.ceil(n / 10)),
        Home: () => this.move(0), End: () => this.move(n - 1),
        "+": () => this.zoom([middle - wide / 4, middle + wide / 4]), "=": () => this.zoom([middle - wide / 4, middle + wide / 4]),
        "-": () => this.zoom([middle - wide, middle + wide]), Escape: () => this.zoom(null), 0: () => this.zoom(null),
      }[e.key];
      if (!go) return;
      e.preventDefault();
      go();
    }
    // Shows a part of the time: at once with the values that are here, then with all that it has.
    async show(range) {
      this.range = range;
      this.reset.disabled = !range;
      this.el.dataset.from = range ? new Date(range[0] * 1000).toISOString() : "";
      const mine = this.asked = {};
      if (!range) this.data = this.whole;
      this.at = -1;
      this.draw();
      if (this.details.open) this.table(this.details);
      if (!range || !this.whole.more) return;
      try {
        const resp = await fetch(`${this.whole.more}&from=${range[0]}&to=${range[1]}&workspace=${document.body.dataset.workspace || ""}`, { headers: { Accept: "application/json" } });
        if (!resp.ok) throw new Error(String(resp.status));
        const part = await resp.json();
        if (this.asked !== mine) return;
        this.data = part;
        this.draw();
        if (this.details.open) this.table(this.details);
      } catch {
        if (this.asked !== mine) return;
        this.note.textContent = "The server did not answer: these are the values that were here. Reset and zoom again.";
        this.note.hidden = false;
      }
    }
    shown() {
      const d = this.data, rows = [];
      d.x.forEach((x, i) => { if (!this.range || (x >= this.range[0] && x <= this.range[1])) rows.push(i); });
      return rows;
    }
    table(details) {
      const d = this.data, rows = this.shown(), most = 200;
      const kept = rows.filter((_, k) => rows.length <= most || k % Math.ceil(rows.length / most) === 0 || k === rows.length - 1);
      const box = document.createElement("div");
      box.className = "scroll";
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", `${d.title}, values`);
      const t = box.appendChild(document.createElement("table"));
      const head = t.createTHead().insertRow();
      for (const name of [d.numeric ? "Trial" : "Time", ...d.lines.map((l) => l.name)]) {
        const th = head.appendChild(document.createElement("th"));
        th.scope = "col";
        th.textContent = name;
        if (name !== "Time" && name !== "Trial") th.className = "num";
      }
      const body = t.createTBody();
      for (const i of kept) {
        const row = body.insertRow();
        row.insertCell().textContent = this.stamp(d.x[i]);
        for (const l of d.lines) {
          const cell = row.insertCell();
          cell.className = "num";
          cell.textContent = figure(l.values[i]);
        }
      }
      details.querySelector(".scroll")?.remove();
      details.append(box);
    }
    csv() {
      const d = this.data;
      return [(d.numeric ? "trial," : "time,") + d.lines.map((l) => JSON.stringify(l.name)).join(","),
        ...this.shown().map((i) => [d.numeric ? d.x[i] : new Date(d.x[i] * 1000).toISOString(), ...d.lines.map((l) => l.values[i] ?? "")].join(","))].join("\n") + "\n";
    }
    png() {
      if (!this.u) return;
      const from = this.u.ctx.canvas, r = devicePixelRatio;
      const legend = this.whole.lines.flatMap((l, i) => (this.hidden.has(i) ? [] : [[l.name, colour(l.class)]]));
      saveImage(this.el, this.whole.id, this.whole.title, legend, from.width / r, from.height / r, (ctx) => ctx.drawImage(from, 0, 0, from.width / r, from.height / r));
    }
  }

  const short = (v) => {
    const a = Math.abs(v), sign = v < 0 ? "−" : "";
    const cut = (n) => String(Number(n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0)));
    return sign + (a >= 1e9 ? `${cut(a / 1e9)}G` : a >= 1e6 ? `${cut(a / 1e6)}M` : a >= 1e4 ? `${cut(a / 1e3)}k` : a >= 1 || a === 0 ? cut(a) : String(Number(a.toPrecision(2))));
  };

  function zoom(range) {
    const charts = [...all].filter((c) => !c.whole.numeric);
    if (range) {
      const whole = charts.filter((c) => c.whole.x.length);
      const low = Math.min(...whole.map((c) => c.whole.x[0])), high = Math.max(...whole.map((c) => c.whole.x[c.whole.x.length - 1]));
      range = [Math.max(range[0], low), Math.min(range[1], high)];
      if (!(range[1] > range[0]) || (range[0] === low && range[1] === high)) range = null;
    }
    for (const c of charts) c.show(range);
  }
  function mount() {
    for (const c of all) {
      if (c.el.isConnected) continue;
      views.set(c.el.id, { range: c.range, log: c.log, at: c.data.x[c.at], hidden: c.whole.lines.filter((_, i) => c.hidden.has(i)).map((l) => l.name) });
      c.resize.disconnect();
      c.u?.destroy();
      all.delete(c);
    }
    if (typeof uPlot === "undefined") return;
    for (const el of waiting()) if (views.has(el.id)) draw(el); // in the place of one that was here: without a jump
    drawing ||= setTimeout(next);
  }
  const waiting = () => document.querySelectorAll("figure[data-plot]:not([data-drawn])");
  function draw(el) {
    el.dataset.drawn = "";
    all.add(new Chart(el));
  }
  // One chart a task, so that links and keys answer between two of them.
  let drawing = 0;
  function next() {
    const [el] = waiting();
    drawing = el ? setTimeout(next) : 0;
    if (el) draw(el);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const c of all) c.draw(); });
  document.addEventListener("millrace:swapped", mount);
  mount();
})();
