// Charts of places: each figure[data-spots] holds what can be read of its drawing as [x, y, text, trial].
// The nearest place to the pointer, or to the arrow keys, is ringed and read out; a click or Enter opens it.
"use strict";
(() => {
  function mount(el) {
    el.dataset.drawn = "";
    const spots = JSON.parse(el.querySelector("script").textContent);
    const plane = el.querySelector(".plane"), svg = el.querySelector("svg"), read = el.querySelector(".readout");
    const ring = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "circle"));
    ring.setAttribute("class", "ring");
    ring.setAttribute("r", "7");
    ring.setAttribute("visibility", "hidden");
    let at = -1;
    const show = (i) => {
      if (i < 0) return;
      at = i;
      const [x, y, text] = spots[i];
      ring.setAttribute("cx", x);
      ring.setAttribute("cy", y);
      ring.setAttribute("visibility", "visible");
      read.textContent = text;
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
    plane.addEventListener("pointermove", place);
    plane.addEventListener("click", (e) => { place(e); open(); });
    plane.addEventListener("keydown", (e) => {
      const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
      if (e.key === "Enter" && at >= 0) { e.preventDefault(); return open(); }
      if (e.key === "Home") { e.preventDefault(); return show(0); }
      if (e.key === "End") { e.preventDefault(); return show(spots.length - 1); }
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
  const all = () => { for (const el of document.querySelectorAll("figure[data-spots]:not([data-drawn])")) mount(el); };
  document.addEventListener("millrace:swapped", all);
  all();
})();
