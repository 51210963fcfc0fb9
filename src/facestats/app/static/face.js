// Box and landmarks over the pictures of a face.
import { get } from "./api.js";
import { $, makeSvg } from "./dom.js";

const face = document.querySelector(".pictures").dataset.face;
let points = null;

function overlay(host, width, height, draw) {
  const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  draw(svg);
  host.append(svg);
  return svg;
}

async function toggle(box, id, draw) {
  const host = $(id);
  host.querySelector("svg")?.remove();
  if (!box.checked) return;
  points ??= await get(`/app/api/face/${face}`);
  if (box.checked) draw(host, points);
}

$("landmarks").addEventListener("change", (event) => toggle(event.target, "crop", (host, { landmarks }) => {
  if (landmarks) overlay(host, 1000, 1000, (svg) => {
    for (const [x, y] of landmarks) svg.append(makeSvg("circle", { cx: 1000 * x, cy: 1000 * y, r: 4 }));
  });
}));
$("box").addEventListener("change", (event) => toggle(event.target, "photo", (host, { box, width, height }) => {
  if (box) overlay(host, width, height, (svg) => svg.append(makeSvg("rect", {
    x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], "vector-effect": "non-scaling-stroke",
  })));
}));

// Back to the selection that one came from.
if (document.referrer.startsWith(`${location.origin}/app/faces`)) {
  $("back").addEventListener("click", (event) => { event.preventDefault(); history.back(); });
}
for (const image of document.querySelectorAll(".overlaid img")) {
  const missing = () => { image.hidden = true; image.parentElement.append("This picture is not here."); };
  if (image.complete && !image.naturalWidth) missing();
  else image.addEventListener("error", missing);
}
