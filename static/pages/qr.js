/* QR codes as SVG. The generator is large and rarely needed: it comes when it is. */

const EDGE = 4; // modules of quiet zone, as the standard wants
const SVG = "http://www.w3.org/2000/svg";

/** Return a QR code of `words`, an image with the name `label`. */
export async function draw(words, label) {
  const { qrcode } = await import("../vendor/qrcode-generator.js");
  const code = qrcode(0, "M");
  code.addData(words);
  code.make();
  const size = code.getModuleCount() + 2 * EDGE;
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
  const all = [...Array(code.getModuleCount()).keys()];
  return all.flatMap((y) => all.filter((x) => code.isDark(y, x)).map((x) => [x, y]));
}
