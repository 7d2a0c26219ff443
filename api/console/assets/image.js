// Saves a chart as an image: its title, its legend and the drawing, in the colours of the page.
"use strict";
function saveImage(figure, name, title, legend, width, height, paint) {
  const style = getComputedStyle(document.documentElement), of = (n) => style.getPropertyValue(`--${n}`).trim();
  const r = Math.max(2, devicePixelRatio), head = legend.length ? 44 : 26, canvas = document.createElement("canvas");
  canvas.width = width * r;
  canvas.height = (height + head) * r;
  const ctx = canvas.getContext("2d");
  ctx.scale(r, r);
  ctx.fillStyle = of("panel");
  ctx.fillRect(0, 0, width, height + head);
  ctx.fillStyle = of("text");
  ctx.font = "600 13px ui-sans-serif, system-ui, sans-serif";
  ctx.fillText(`${document.querySelector("h1")?.textContent ?? ""}: ${title}`, 8, 17);
  ctx.font = "11px ui-sans-serif, system-ui, sans-serif";
  let x = 8;
  for (const [text, colour] of legend) {
    ctx.fillStyle = colour;
    ctx.fillRect(x, 29, 14, 5);
    ctx.fillStyle = of("muted");
    ctx.fillText(text, x + 18, 35);
    x += 18 + ctx.measureText(text).width + 14;
  }
  ctx.translate(0, head);
  paint(ctx);
  canvas.toBlob((blob) => {
    const a = document.createElement("a");
    a.href = URL.createObjectURL(blob);
    a.download = `${name}.png`;
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
    figure.dataset.saved = String(blob.size);
  });
}
