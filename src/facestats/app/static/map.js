// The map: zoom, move, choose by a box or a lasso, and see the face below the pointer.
import { get } from "./api.js";
import { $, make, makeCard } from "./dom.js";
import { Points, palette, simplified } from "./points.js";

const MOST_CORNERS = 60; // of a lasso, so that its link stays short
const NEAR = 12; // px from the pointer to a face
const SOME = 24; // faces that are shown of those chosen
const STEP = 1.4; // of zoom
const version = $("map").dataset.version;
const canvas = $("points"), marks = $("marks");
const points = new Points(canvas);
const pointers = new Map(); // that are down, by their number
let view = { x: 0, y: 0, scale: 1 }, ratio = 1, waiting = false;
let mode = "move", path = [], area = null, focus = -1, around = null, tipFor = -1;

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; points.draw(view); mark(); });
}

function fitCanvas() {
  const { width, height } = canvas.getBoundingClientRect();
  ratio = devicePixelRatio || 1;
  for (const each of [canvas, marks]) { each.width = Math.round(width * ratio); each.height = Math.round(height * ratio); }
}

function show(wanted) {
  view = wanted;
  around = null;
  redraw();
}

// From CSS pixels of the canvas to the map, and back.
function place(px, py) {
  return [(px * ratio - canvas.width / 2) / view.scale + view.x, view.y - (py * ratio - canvas.height / 2) / view.scale];
}

function pixel(x, y) {
  return [((x - view.x) * view.scale + canvas.width / 2) / ratio, ((view.y - y) * view.scale + canvas.height / 2) / ratio];
}

function zoom(factor, px = canvas.clientWidth / 2, py = canvas.clientHeight / 2) {
  const [x, y] = place(px, py);
  const wanted = Math.min(points.whole * 2000, Math.max(points.whole / 2, view.scale * factor));
  const share = view.scale / wanted;
  show({ x: x + (view.x - x) * share, y: y + (view.y - y) * share, scale: wanted });
}

// What lies over the points: the line of the area, and a ring around the face.
function mark() {
  const context = marks.getContext("2d"), styles = getComputedStyle(document.documentElement);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, marks.width, marks.height);
  context.strokeStyle = styles.getPropertyValue("--ink");
  context.lineWidth = 1.5;
  const line = path.length ? path : area ?? [];
  if (line.length > 1) {
    context.beginPath();
    for (const corner of line) context.lineTo(...pixel(...corner));
    context.closePath();
    context.stroke();
  }
  if (focus < 0) return showTip();
  context.lineWidth = 2.5;
  context.beginPath();
  context.arc(...pixel(points.places[2 * focus], points.places[2 * focus + 1]), 8, 0, 7);
  context.stroke();
  showTip();
}

function showTip() {
  const tip = $("tip");
  tip.hidden = focus < 0 || tipFor !== focus;
  if (!tip.hidden) {
    const [px, py] = pixel(points.places[2 * focus], points.places[2 * focus + 1]);
    const { clientWidth: width, clientHeight: height } = canvas;
    const x = px + 14 + tip.offsetWidth > width ? px - 14 - tip.offsetWidth : px + 14;
    tip.style.transform = `translate(${Math.max(0, x)}px, ${Math.max(0, Math.min(py - 20, height - tip.offsetHeight))}px)`;
  }
}

async function look(at, told = false) {
  if (at === focus) return;
  focus = at;
  $("tip").hidden = true;
  redraw();
  if (at < 0) return;
  try {
    const face = await get(`/app/api/map/face?row=${at}&column=${encodeURIComponent($("colour").value)}`);
    if (focus !== at) return;
    const [image, text] = $("tip").children;
    image.src = `/app/thumbnail/${face.address}?v=${version}`;
    text.textContent = `${face.name} ${face.line}`;
    $("tip").href = `/app/face/${face.address}`;
    if (told) $("state").textContent = `${face.label}; ${face.line}`;
    tipFor = at;
    redraw();
  } catch (error) {
    if (focus === at) $("state").textContent = error.message;
  }
}

// The next face, from the middle of the view outwards.
function walk(by) {
  if (!around) {
    const near = [];
    for (let i = 0; i < points.count; i++) {
      const dx = points.places[2 * i] - view.x, dy = points.places[2 * i + 1] - view.y;
      const seen = Math.abs(dx) * view.scale * 2 < canvas.width && Math.abs(dy) * view.scale * 2 < canvas.height;
      if (seen) near.push([dx * dx + dy * dy, i]);
    }
    near.sort((a, b) => a[0] - b[0]);
    around = { rows: near.map(([, i]) => i), at: -1 };
  }
  if (!around.rows.length) return;
  around.at = Math.max(0, Math.min(around.rows.length - 1, around.at + by));
  look(around.rows[around.at], true);
}

function text(number) {
  return String(Number(number.toFixed(5)));
}

async function choose(corners) {
  area = corners.map(([x, y]) => [Number(x.toFixed(5)), Number(y.toFixed(5))]);
  const { inside, number } = points.within(area);
  points.chosen = inside;
  redraw();
  const query = `area=${area.map(([x, y]) => `${text(x)}_${text(y)}`).join("~")}&flags=keep&copies=keep`;
  $("chosen").hidden = false;
  $("count").textContent = number === 1 ? "1 face" : `${number.toLocaleString("en")} faces`;
  $("faces").href = `/app/faces?${query}`;
  $("compose").href = `/app/compose?${query}&draw=1`;
  $("count").parentElement.scrollIntoView({ block: "nearest" }); // on a narrow page they lie below the map
  const mine = area;
  try {
    const page = await get(`/app/api/faces?${query}&limit=${SOME}`);
    if (mine !== area) return;
    $("below").textContent = page.below;
    $("some").replaceChildren(...page.faces.map((face) => makeCard(face, version)));
  } catch (error) {
    if (mine === area) $("state").textContent = error.message;
  }
}

function letGo() {
  area = points.chosen = null;
  path = [];
  $("chosen").hidden = true;
  look(-1);
  redraw();
}

function chooseView() {
  const [left, high] = place(0, 0), [right, low] = place(canvas.clientWidth, canvas.clientHeight);
  choose([[left, low], [right, low], [right, high], [left, high]]);
}

function swatch(colours, code) {
  const one = make("canvas", { class: "swatch", width: 1, height: 1, "aria-hidden": "true" });
  const context = one.getContext("2d");
  context.fillStyle = `rgb(${colours[3 * code]} ${colours[3 * code + 1]} ${colours[3 * code + 2]})`;
  context.fillRect(0, 0, 1, 1);
  return one;
}

function showLegend(legend, colours, title) {
  const none = legend.none ? [["no value", legend.none, "", 255]] : [];
  const rows = [...(legend.classes ?? []).map((row, i) => [...row, i]), ...none].map(([label, n, query, code]) => make("tr", {},
    make("td", {}, swatch(colours, code)),
    make("th", { scope: "row" }, query ? make("a", { href: `/app/faces?${query}` }, label) : label),
    make("td", {}, n.toLocaleString("en"))));
  const parts = rows.length ? [make("table", {}, make("caption", {}, title), make("tbody", {}, ...rows))] : [];
  if (legend.kind === "number") {
    const strip = make("canvas", { width: 255, height: 1, role: "img", "aria-label": "from low to high" });
    const context = strip.getContext("2d"), picture = context.createImageData(255, 1);
    for (let i = 0; i < 255; i++) picture.data.set([...colours.subarray(3 * i, 3 * i + 3), 255], 4 * i);
    context.putImageData(picture, 0, 0);
    const ends = [legend.low, legend.high].map((end) => Number(end.toPrecision(4)).toLocaleString("en", { useGrouping: false }));
    parts.unshift(make("p", { class: "scale" }, `${title} `, make("span", {}, ends[0]), strip, make("span", {}, ends[1])),
      make("p", { class: "note" }, "The ends are the lowest and the highest hundredth."));
  }
  $("legend").replaceChildren(...parts);
}

let legendNow = null;
async function colour() {
  const select = $("colour"), column = select.value, asked = `column=${encodeURIComponent(column)}`;
  const [bytes, legend] = await Promise.all([binary(`/app/api/map/colours?${asked}&v=${version}`), get(`/app/api/map/legend?${asked}`)]);
  if (select.value !== column) return;
  points.codes = new Uint8Array(bytes);
  legendNow = [legend, select.selectedOptions[0].textContent];
  repaint();
  history.replaceState(null, "", `/app/map?colour=${encodeURIComponent(column)}`);
}

function repaint() {
  if (!legendNow) return;
  points.colours = palette(legendNow[0].kind);
  showLegend(legendNow[0], points.colours, legendNow[1]);
  redraw();
}

async function binary(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  return answer.arrayBuffer();
}

function at(event) {
  const { left, top } = canvas.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
}

function pinch() {
  const [[ax, ay], [bx, by]] = pointers.values();
  return { x: (ax + bx) / 2, y: (ay + by) / 2, apart: Math.hypot(ax - bx, ay - by) || 1 };
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, at(event));
  path = pointers.size === 1 && mode !== "move" ? [place(...at(event))] : [];
});
canvas.addEventListener("pointermove", (event) => {
  const [px, py] = at(event), before = pointers.get(event.pointerId);
  if (!before) {
    look(points.nearest(...place(px, py), NEAR * ratio / view.scale));
    return;
  }
  if (pointers.size === 2) {
    const from = pinch();
    pointers.set(event.pointerId, [px, py]);
    const to = pinch();
    move(to.x - from.x, to.y - from.y);
    zoom(to.apart / from.apart, to.x, to.y);
    return;
  }
  pointers.set(event.pointerId, [px, py]);
  if (mode === "move") return move(px - before[0], py - before[1]);
  const [x, y] = place(px, py);
  if (mode === "lasso") path.push([x, y]);
  else path = [path[0], [x, path[0][1]], [x, y], [path[0][0], y]];
  redraw();
});
for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => {
  pointers.delete(event.pointerId);
  const drawn = path;
  path = [];
  if (name === "pointerup" && drawn.length > 2) choose(mode === "lasso" ? simplified(drawn, MOST_CORNERS) : drawn);
  redraw();
});
canvas.addEventListener("pointerleave", () => look(-1));
canvas.addEventListener("dblclick", () => { if (focus >= 0 && tipFor === focus) location.assign($("tip").href); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / (event.deltaMode ? 12 : 400)), ...at(event));
}, { passive: false });

function move(dx, dy) {
  show({ ...view, x: view.x - dx * ratio / view.scale, y: view.y + dy * ratio / view.scale });
}

const KEYS = {
  ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0), ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
  "+": () => zoom(STEP), "=": () => zoom(STEP), "-": () => zoom(1 / STEP), 0: () => show(points.fit()),
  n: () => walk(1), p: () => walk(-1), b: chooseView, Escape: letGo,
  Enter: () => { if (focus >= 0 && tipFor === focus) location.assign($("tip").href); },
};
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
for (const radio of document.querySelectorAll("[name=mode]")) radio.addEventListener("change", () => { mode = canvas.dataset.mode = radio.value; });
$("in").addEventListener("click", () => zoom(STEP));
$("out").addEventListener("click", () => zoom(1 / STEP));
$("whole").addEventListener("click", () => show(points.fit()));
$("view").addEventListener("click", chooseView);
$("none").addEventListener("click", letGo);
const failed = (error) => { $("state").textContent = error.message; };
$("colour").addEventListener("change", () => colour().catch(failed));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
// At once, for a canvas of another size is empty.
new ResizeObserver(() => { fitCanvas(); points.draw(view); mark(); }).observe(canvas);

try {
  const [bytes] = await Promise.all([binary(`/app/api/map/places?v=${version}`), colour()]);
  points.places = new Float32Array(bytes);
  fitCanvas();
  show(points.fit());
  $("state").textContent = "";
} catch (error) {
  failed(error);
}
