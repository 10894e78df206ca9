// Line charts from a list of closes, drawn into a viewBox that the style sheet stretches.

import { shape } from "./dom.js";
import { direction } from "./format.js";

const WIDTH = 100;
const HEIGHT = 40;

/** A chart of `closes`, the newest last; `kind` is a class: `spark` (a small line) or `chart` (a line with an area). */
export function chart(closes, kind) {
  const low = Math.min(...closes);
  const span = Math.max(...closes) - low || 1;
  const points = closes.map((close, index) => {
    const x = (index / Math.max(1, closes.length - 1)) * WIDTH;
    const y = HEIGHT - 2 - ((close - low) / span) * (HEIGHT - 4);
    return `${x.toFixed(2)} ${y.toFixed(2)}`;
  });
  const line = `M${points.join("L")}`;
  return shape(
    "svg",
    {
      class: `${kind} ${direction(closes.at(-1) - closes[0])}`,
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    shape("path", { class: "area", d: `${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` }),
    shape("path", { d: line }),
  );
}
