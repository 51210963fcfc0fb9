// Average faces: counts follow the filter at once, pictures are drawn when asked for. A picture that
// takes longer than an answer may is asked for again: the server goes on drawing, and keeps it.
import { get } from "./api.js";
import { $, make } from "./dom.js";
import { queryOf, watchFilter } from "./filter.js";

const RETRIED = ["too_late", "too_busy", "not_ready"];
const PATIENCE = 300; // s
const form = $("filter");
const sides = Array.from(document.querySelectorAll(".side"));
let asked = 0, content = null, frames = [];

function part(host, name) {
  return host.querySelector(`:scope ${name}`);
}

async function patient(path, state) {
  const until = performance.now() + 1000 * PATIENCE;
  for (;;) {
    try {
      return await get(path);
    } catch (error) {
      if (!RETRIED.includes(error.code) || performance.now() > until) throw error;
      state.textContent = "Still drawing: many faces take a minute …";
      await new Promise((done) => setTimeout(done, 300));
    }
  }
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
}

function tell(side, it) {
  part(side, ".counts").replaceChildren(...it.counts.map(([label, n]) => make("span", { class: "count" },
    make("span", { class: "n" }, n.toLocaleString("en")), ` ${label}`)));
  part(side, ".about").replaceChildren(...it.notes.map((note) => make("li", {}, note)));
  const why = [...it.hints, ...(it.why ? [it.why] : [])].map(sentence).join(" ");
  part(side, ".why").textContent = why;
  part(side, ".why").hidden = !why;
  part(side, ".faces").href = it.faces;
}

function forget(host) {
  host.dataset.drawn = "";
  part(host, "figure").hidden = part(host, ".save").hidden = true;
  part(host, ".state").textContent = "";
}

// What was asked for, in numbers and words; pictures of another question go.
async function change(query) {
  const number = ++asked;
  let answer;
  try {
    answer = await get(`/app/api/compose?${query}`);
  } catch (error) {
    if (number === asked) problem(error.message);
    return false;
  }
  if (number !== asked) return false;
  content = answer;
  problem("");
  sides.forEach((side, at) => {
    tell(side, content.sides[at]);
    if (side.dataset.drawn !== content.sides[at].address) forget(side);
  });
  if ($("between") && sides.some((side) => !side.dataset.drawn)) forgetBetween();
  $("permanent").hidden = !content.lines;
  document.querySelector("#permanent pre").textContent = content.lines;
  $("lines-why").hidden = !content.lines_why;
  $("lines-why").textContent = content.lines_why ? sentence(content.lines_why) : "";
  showAddress(sides.every((side) => side.dataset.drawn));
  return true;
}

// What is drawn here is drawn where links lead to, too.
function showAddress(drawn) {
  const of = (address) => (drawn ? `${address}${address.includes("?") ? "&" : "?"}draw=1` : address);
  for (const link of document.querySelectorAll(".to")) link.href = of(content[link.dataset.to]);
  $("link").href = of(content.address);
  history.replaceState(null, "", of(content.address));
}

function problem(text) {
  $("problem").textContent = text ? sentence(text) : "";
  $("problem").hidden = !text;
}

async function drawSide(side, it, number) {
  if (it.why || side.dataset.drawn === it.address) return;
  const figure = part(side, "figure"), image = part(figure, "img"), state = part(side, ".state");
  figure.setAttribute("aria-busy", "true");
  state.textContent = "Drawing …";
  try {
    const answer = await patient(it.address, state);
    if (number !== asked) return;
    image.src = answer.picture;
    image.alt = `The average of ${answer.n} faces`;
    await image.decode();
    if (number !== asked) return;
    part(figure, "figcaption").textContent = [`The average of ${answer.n.toLocaleString("en")} faces`, ...answer.notes].map(sentence).join(" ");
    part(side, ".save").href = answer.picture;
    figure.hidden = part(side, ".save").hidden = false;
    side.dataset.drawn = it.address;
    state.textContent = "";
  } catch (error) {
    if (number === asked) state.textContent = sentence(error.message);
  } finally {
    figure.removeAttribute("aria-busy");
  }
}

function forgetBetween() {
  frames = [];
  forget($("between"));
  document.querySelector(".slider").hidden = true;
}

async function drawBetween(number) {
  const host = $("between"), state = part(host, ".state");
  if (sides.some((side) => !side.dataset.drawn) || frames.length) return;
  state.textContent = "Drawing …";
  try {
    const answer = await patient(`/app/api/compose/between?${content.first.split("?")[1]}`, state);
    if (number !== asked) return;
    // All are fetched before the slider moves.
    frames = await Promise.all(answer.pictures.map(async (path, at) => {
      const image = new Image();
      image.src = path;
      await image.decode();
      return { path, image, share: answer.shares[at] };
    }));
    if (number !== asked) return forgetBetween();
    state.textContent = "";
    part(host, "figure").hidden = part(host, ".save").hidden = document.querySelector(".slider").hidden = false;
    showStep();
  } catch (error) {
    if (number === asked) state.textContent = sentence(error.message);
  }
}

function showStep() {
  const host = $("between"), frame = frames[Number($("share").value)];
  if (!frame) return;
  const percent = `${Math.round(100 * frame.share)} %`;
  const image = part(host, "img");
  image.src = frame.path;
  image.alt = `${percent} of the second face`;
  part(host, "output").textContent = percent;
  $("share").setAttribute("aria-valuetext", `${percent} of the second face`);
  part(host, ".save").href = frame.path;
  part(host, ".save").download = `between_${Math.round(100 * frame.share)}.png`;
}

async function draw() {
  if (!(await change(queryOf(form)))) return;
  const number = asked;
  showAddress(true);
  $("draw").setAttribute("aria-busy", "true");
  await Promise.all(sides.map((side, at) => drawSide(side, content.sides[at], number)));
  if (number === asked && $("between")) await drawBetween(number);
  if (number === asked) $("draw").removeAttribute("aria-busy");
}

// A mask needs a background, and a background a mask.
form.addEventListener("change", (event) => {
  const { mask, background } = form.elements;
  if (event.target === mask) background.value = mask.value === "none" ? "keep" : background.value === "keep" ? "grey" : background.value;
  if (event.target === background) mask.value = background.value === "keep" ? "none" : mask.value === "none" ? "oval" : mask.value;
});
if (matchMedia("(min-width: 60rem)").matches || location.hash === "#conditions") $("conditions").open = true;
watchFilter(form, change);
form.addEventListener("submit", draw);
$("draw").addEventListener("click", draw);
$("share")?.addEventListener("input", showStep);
$("copy").addEventListener("click", async () => {
  const lines = document.querySelector("#permanent pre");
  try {
    await navigator.clipboard.writeText(lines.textContent);
    $("copied").textContent = "Copied.";
  } catch { // not over plain HTTP from another machine, or not allowed
    getSelection().selectAllChildren(lines);
    $("copied").textContent = "The lines are marked: copy them with Ctrl-C.";
  }
});
if (new URLSearchParams(location.search).has("draw")) draw();
