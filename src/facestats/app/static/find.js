// Finding faces by a photo or by words. The photo is drawn on a canvas, and sent to this server.
import { get, post } from "./api.js";
import { $, make, makeCard, makeTable } from "./dom.js";
import { queryOf, watchFilter } from "./filter.js";

const version = $("found").dataset.version;
let bitmap = null, landmarks = null, photo = null;
const asked = { similar: 0, found: 0 }; // numbers of the last questions: earlier answers are thrown away

function conditions() {
  return $("filter") ? queryOf($("filter")) : "";
}

async function analyze(file) {
  photo = file;
  const number = ++asked.similar;
  $("state").textContent = "Looking …";
  $("result").hidden = true;
  show("similar", []);
  try {
    bitmap = await createImageBitmap(file).catch(() => null); // HEIC and others: this browser can't
    const answer = await post(`/app/api/analyze?${conditions()}`, file);
    if (number !== asked.similar) return;
    landmarks = answer.landmarks;
    $("state").textContent = "";
    $("card").replaceChildren(...card(answer));
    $("result").hidden = false;
    draw();
    show("similar", answer.similar);
  } catch (error) {
    if (number === asked.similar) $("state").textContent = sentence(error.message);
  }
}

function card({ score, attributes, warnings, errors, measurements }) {
  const parts = [];
  const number = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  if (score?.withheld) parts.push(make("p", { class: "warning" }, `No score: ${score.withheld}.`));
  else if (score) {
    const rows = [["combined", number(score.combined)], ["holistic", number(score.score)], ["geometric", number(score.geometric)],
      ["predicted rating, raters' scale", number(score.raw, 2)],
      ["scores above", score.pct === null ? "–" : `${(100 * score.pct).toFixed(0)} % of the faces rated for training`]];
    for (const [name, trait] of Object.entries(score.traits ?? {})) rows.push([name, number(trait.combined ?? trait.score)]);
    parts.push(makeTable("Scores, 0 to 100", [], rows));
  }
  if (attributes) {
    const names = Object.keys(attributes).filter((name) => `${name}_source` in attributes);
    parts.push(makeTable("Attributes", ["", "value", "from"], names.map((name) => [
      name.replaceAll("_", " "), text(attributes[name]), text(attributes[`${name}_source`])])));
  }
  const doubts = [...new Set([...(score?.warnings ?? []), ...(attributes?.warnings ?? [])])];
  if (doubts.length) parts.push(make("ul", { class: "warnings", "aria-label": "Warnings" }, ...doubts.map((doubt) => make("li", { class: "warning" }, doubt))));
  for (const [name, error] of Object.entries(errors ?? {})) parts.push(make("p", { class: "warning" }, `No ${name}: ${error.message}.`));
  if (measurements) {
    const rows = Object.entries(measurements).filter(([, value]) => typeof value === "number").map(([name, value]) => [name, number(value, 3)]);
    const fold = make("details", {}, make("summary", {}, "Measurements"), makeTable("Measurements", ["measurement", "value"], rows));
    parts.push(fold);
  }
  return parts;
}

function sentence(message) {
  return `${message[0].toUpperCase()}${message.slice(1)}.`;
}

function text(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" ? value.toFixed(0) : String(value);
}

function draw() {
  const canvas = $("picture");
  canvas.parentElement.hidden = !bitmap;
  if (!bitmap) return;
  const scale = Math.min(1, 640 / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  if (!$("marks").checked || !landmarks) return;
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--class-5");
  context.fillStyle = context.strokeStyle = colour;
  for (const [x, y] of landmarks.landmarks ?? []) context.fillRect(x * canvas.width - 1, y * canvas.height - 1, 2, 2);
  if (landmarks.box) {
    const [x0, y0, x1, y1] = landmarks.box, fx = canvas.width / landmarks.width, fy = canvas.height / landmarks.height;
    context.lineWidth = 2;
    context.strokeRect(x0 * fx, y0 * fy, (x1 - x0) * fx, (y1 - y0) * fy);
  }
}

function show(id, faces) {
  $(id).replaceChildren(...faces.map((face) => makeCard(face, version)));
  $(`${id}-part`).hidden = !faces.length;
}

const drop = $("drop");
$("file").addEventListener("change", (event) => { if (event.target.files[0]) analyze(event.target.files[0]); });
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    const file = name === "drop" && event.dataTransfer.files[0];
    if (file) analyze(file);
  });
}
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
  if (file) { event.preventDefault(); analyze(file); }
});
$("marks").addEventListener("change", draw);
$("words")?.addEventListener("submit", (event) => {
  event.preventDefault();
  find();
});

async function find() {
  const words = $("search").value.trim(), number = ++asked.found;
  if (!words) return;
  $("words-state").textContent = "Looking …";
  try {
    const answer = await get(`/app/api/search?text=${encodeURIComponent(words)}&${conditions()}`);
    if (number !== asked.found) return;
    $("words-state").textContent = "";
    show("found", answer.faces);
  } catch (error) {
    if (number !== asked.found) return;
    show("found", []);
    $("words-state").textContent = sentence(error.message);
  }
}

if ($("filter")) {
  watchFilter($("filter"), (query) => {
    history.replaceState(history.state, "", query ? `/app/find?${query}` : "/app/find");
    if (photo) analyze(photo);
    if ($("search")) find();
  });
}
