/* QR codes as SVG. */

import { correction, generate } from "../vendor/lean-qr.js";

const EDGE = 4; // modules of quiet zone, as the standard wants
const SVG = "http://www.w3.org/2000/svg";

/** Return a QR code of `words`, an image with the name `label`. */
export function draw(words, label) {
  const code = generate(words, { minCorrectionLevel: correction.M });
  const size = code.size + 2 * EDGE;
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${size} ${size}`);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", label);
  const dots = document.createElementNS(SVG, "path");
  dots.setAttribute("d", dark(code).map(([x, y]) => `M${x + EDGE} ${y + EDGE}h1v1h-1z`).join(""));
  picture.append(dots);
  return picture;
}

function dark(code) {
  const all = [...Array(code.size).keys()];
  return all.flatMap((y) => all.filter((x) => code.get(x, y)).map((x) => [x, y]));
}
