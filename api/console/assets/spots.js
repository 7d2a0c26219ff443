// Charts of places: each figure[data-spots] holds what can be read of its drawing as [x, y, text, trial].
// The nearest place to the pointer, or to the arrow keys, is ringed and read out; a click or Enter opens it.
"use strict";
(() => {
  const read = new Map(); // by figure: which place was read last, when its part of the page was swapped
  function mount(el) {
    el.dataset.drawn = "";
    const spots = JSON.parse(el.querySelector("script").textContent);
    const plane = el.querySelector(".plane"), svg = el.querySelector("svg"), out = el.querySelector(".readout");
    const ring = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "circle"));
    ring.setAttribute("class", "ring");
    ring.setAttribute("r", "7");
    ring.setAttribute("visibility", "hidden");
    let at = -1;
    const show = (i) => {
      if (i < 0) return;
      at = i;
      read.set(el.id, spots[i].slice(0, 2));
      const [x, y, text] = spots[i];
      ring.setAttribute("cx", x);
      ring.setAttribute("cy", y);
      ring.setAttribute("visibility", "visible");
      out.textContent = text;
      plane.setAttribute("aria-valuenow", String(i));
      plane.setAttribute("aria-valuetext", text);
    };
    const nearest = (far) => {
      let best = -1, least = Infinity;
      spots.forEach((s, i) => {
        const d = far(s, i);
        if (d < least) { least = d; best = i; }
      });
      return best;
    };
    const open = () => { if (at >= 0 && spots[at][3] >= 0) location.href = el.dataset.href + spots[at][3]; };
    const place = (e) => {
      const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
      const x = (e.clientX - box.left) / box.width * view.width, y = (e.clientY - box.top) / box.height * view.height;
      show(nearest((s) => (s[0] - x) ** 2 + (s[1] - y) ** 2));
    };
    const png = el.querySelector(".tools").appendChild(document.createElement("button"));
    png.type = "button";
    png.textContent = "PNG";
    png.title = "Save as an image";
    png.setAttribute("aria-label", `PNG: Save as an image, ${svg.getAttribute("aria-label")}`);
    png.addEventListener("click", () => save(el, svg));
    const was = read.get(el.id);
    if (was) show(nearest((s) => (s[0] - was[0]) ** 2 + (s[1] - was[1]) ** 2));
    plane.addEventListener("pointermove", place);
    plane.addEventListener("click", (e) => { place(e); open(); });
    plane.addEventListener("keydown", (e) => {
      const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
      if (e.key === "Enter" && at >= 0) { e.preventDefault(); return open(); }
      if (e.key === "Home") { e.preventDefault(); return show(0); }
      if (e.key === "End") { e.preventDefault(); return show(spots.length - 1); }
      const step = { PageDown: 1, PageUp: -1 }[e.key]; // through all of them
      if (step) { e.preventDefault(); return show(Math.min(Math.max(at + step, 0), spots.length - 1)); }
      if (!way) return;
      e.preventDefault();
      if (at < 0) return show(0);
      const [x, y] = spots[at];
      // The nearest that lies that way; what is off to the side counts as farther.
      show(nearest((s, i) => {
        const along = (s[0] - x) * way[0] + (s[1] - y) * way[1], aside = Math.abs((s[0] - x) * way[1]) + Math.abs((s[1] - y) * way[0]);
        return i === at || along <= 0.01 ? Infinity : along + 3 * aside;
      }));
    });
  }
  // The drawing as the style sheet shows it. Its parts are boxes, lines, paths, circles and words.
  function save(el, svg) {
    const { width, height } = svg.viewBox.baseVal, n = (part, name) => Number(part.getAttribute(name));
    const legend = [...(el.parentElement.querySelector(".ramp.named")?.children ?? [])].map((s) => [s.textContent, getComputedStyle(s.querySelector("i")).backgroundColor]);
    saveImage(el, el.id.slice(6), svg.getAttribute("aria-label"), legend, width, height, (ctx) => {
      for (const part of svg.querySelectorAll("rect, line, path, circle, text")) {
        const css = getComputedStyle(part);
        if (css.visibility === "hidden" || css.display === "none") continue;
        ctx.save();
        ctx.globalAlpha = Number(css.opacity);
        ctx.fillStyle = css.fill;
        ctx.strokeStyle = css.stroke;
        ctx.lineWidth = parseFloat(css.strokeWidth);
        ctx.lineCap = css.strokeLinecap;
        ctx.setLineDash(css.strokeDasharray === "none" ? [] : css.strokeDasharray.split(",").map(parseFloat));
        if (part.tagName === "text") {
          ctx.font = `${css.fontWeight} ${css.fontSize} ${css.fontFamily}`;
          ctx.textAlign = { middle: "center", end: "right" }[part.getAttribute("text-anchor")] ?? "left";
          const matrix = part.transform.baseVal.consolidate()?.matrix;
          if (matrix) ctx.transform(matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f);
          ctx.fillText(part.textContent, n(part, "x"), n(part, "y"));
        } else {
          const shape = new Path2D(part.getAttribute("d") ?? undefined);
          if (part.tagName === "rect") shape.rect(n(part, "x"), n(part, "y"), n(part, "width"), n(part, "height"));
          if (part.tagName === "circle") shape.arc(n(part, "cx"), n(part, "cy"), n(part, "r"), 0, 7);
          if (part.tagName === "line") { shape.moveTo(n(part, "x1"), n(part, "y1")); shape.lineTo(n(part, "x2"), n(part, "y2")); }
          if (css.fill !== "none" && part.tagName !== "line") ctx.fill(shape);
          if (css.stroke !== "none") ctx.stroke(shape);
        }
        ctx.restore();
      }
    });
  }
  const all = () => { for (const el of document.querySelectorAll("figure[data-spots]:not([data-drawn])")) mount(el); };
  document.addEventListener("millrace:swapped", all);
  all();
})();
