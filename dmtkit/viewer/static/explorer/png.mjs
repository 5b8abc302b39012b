// The view as one PNG: pictures, histograms, what they show, and the legend.

import { css, hatch, weightColour } from "./colours.mjs";

const [MARGIN, LINE] = [16, 20];

function legend(pen, index, colours, x, y) {
  pen.font = "13px system-ui, sans-serif";
  let at = x;
  index.cases.forEach((one, k) => {
    pen.fillStyle = one.colour;
    pen.fillRect(at, y, 18, 12);
    if (k > 0) {
      pen.fillStyle = hatch(pen, k === 2 ? "cross" : "line", "#fff", 6);
      pen.fillRect(at, y, 18, 12);
    }
    pen.fillStyle = "#000";
    pen.fillText(one.title, at + 24, y + 11);
    at += 40 + pen.measureText(one.title).width;
  });
  pen.fillText("w: 0", at, y + 11);
  at += pen.measureText("w: 0").width + 6;
  for (let i = 0; i < 100; i++) {
    pen.fillStyle = css(weightColour(colours, i / 99));
    pen.fillRect(at + i, y, 1, 12);
  }
  pen.fillStyle = "#000";
  pen.fillText("1", at + 106, y + 11);
}

export function exportPng(panels, titles, heading, index, colours) {
  const ratio = (panel) => panel.canvas.width / parseFloat(panel.canvas.style.width);
  const [widths, heights] = ["width", "height"].map((side) => panels.map((p) => p.canvas[side] / ratio(p)));
  const bars = panels[0].bars.canvas;
  const [barsWidth, barsHeight] = [bars.width / 2, bars.height / 2];
  const columns = widths.map((width) => Math.max(width, barsWidth));
  const out = document.createElement("canvas");
  out.width = Math.max(760, columns.reduce((a, b) => a + b, 0) + MARGIN * (panels.length + 1));
  out.height = Math.max(...heights) + barsHeight + 4 * LINE + 3 * MARGIN;
  const pen = out.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, out.width, out.height);
  pen.fillStyle = "#000";
  pen.font = "bold 14px system-ui, sans-serif";
  pen.fillText(heading, MARGIN, MARGIN + 12);
  let x = MARGIN;
  panels.forEach((panel, k) => {
    pen.font = "13px system-ui, sans-serif";
    pen.fillStyle = "#000";
    pen.fillText(titles[k], x, MARGIN + LINE + 12);
    pen.drawImage(panel.canvas, x, MARGIN + 2 * LINE, widths[k], heights[k]);
    panel.bars.draw(panel.scene().summary, "#000");
    pen.drawImage(panel.bars.canvas, x, 2 * MARGIN + 2 * LINE + Math.max(...heights), barsWidth, barsHeight);
    x += columns[k] + MARGIN;
  });
  legend(pen, index, colours, MARGIN, out.height - MARGIN - 14);
  return new Promise((resolve) => out.toBlob(resolve, "image/png"));
}
