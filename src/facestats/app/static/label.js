// Labelling: one face after another. What is labelled is written at once; nothing waits here.
import { get, post } from "./api.js";
import { $, make, makeTable } from "./dom.js";

const QUEUE = 24; // faces to come that are shown
const work = $("work"), { face: chosen, query } = work.dataset;
const memory = { name: "facestats-who", browser: "facestats-browser" };
let attribute = $("attribute").value, classes = null, faces = [], at = 0, asked = 0, busy = false, seen = false, changes = [];

function stored(key, make_) {
  try {
    let value = localStorage.getItem(key);
    if (value === null && make_) localStorage.setItem(key, value = make_());
    return value ?? "";
  } catch {
    return "";
  }
}
const browser = stored(memory.browser, () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (one) => one.toString(16).padStart(2, "0")).join(""));
$("who").value = stored(memory.name);
$("who").addEventListener("change", () => { try { localStorage.setItem(memory.name, $("who").value.trim()); } catch { /* private window */ } });

function tell(text) {
  $("problem").textContent = text ? `${text[0].toUpperCase()}${text.slice(1)}` : "";
  $("problem").hidden = !text;
}

async function load(keep = "") {
  const number = ++asked, list = $("list").value;
  attribute = $("attribute").value;
  const fields = new URLSearchParams(list === "faces" && !chosen ? query : "");
  fields.set("attribute", attribute);
  fields.set("list", list);
  if (list === "faces" && chosen) fields.set("face", chosen);
  history.replaceState(null, "", `/app/label?${fields}`);
  let page;
  try {
    page = await get(`/app/api/label?${fields}`);
  } catch (error) {
    if (number === asked) { $("state").textContent = ""; tell(error.message); }
    return;
  }
  if (number !== asked) return;
  ({ classes, faces, changes } = page);
  work.dataset.version = page.version;
  work.dataset.title = page.title;
  at = Math.max(0, faces.findIndex((face) => face.name === keep));
  show();
}

async function show() {
  const face = faces[at], title = work.dataset.title, list = $("list").value;
  seen = false;
  work.hidden = !face;
  showQueue();
  showChanges();
  const number = faces.length === 1 ? "1 face" : `${faces.length} faces`;
  $("state").textContent = face ? (list === "faces" ? `Face ${at + 1} of ${faces.length}` : `${number} left`) : { proposed: "No proposed face is left. The next run proposes others among faces without a label; “all, from the first” shows every face.",
    doubtful: `No label of ${title} is doubtful, or all have been looked at.`, faces: "No face is here." }[list];
  if (!face) return;
  const picture = $("picture");
  picture.src = `/app/crop/${face.address}?v=${work.dataset.version}`;
  picture.alt = `The face ${face.name}`;
  $("name").textContent = face.name;
  $("name").href = `/app/face/${face.address}`;
  $("question").textContent = attribute === "age" ? "How old?" : `Which ${title}?`;
  $("said").textContent = [`So far: ${face.now}`, face.source,
    face.by_hand ? `by hand, from the next run: ${face.by_hand}` : "", ...face.doubts].filter(Boolean).join(" · ");
  $("answers").hidden = $("another").hidden = !classes;
  $("number").hidden = Boolean(classes);
  if (classes) {
    $("answers").replaceChildren(...classes.map((name, i) => {
      const key = i < 9 ? String(i + 1) : null;
      const button = make("button", { type: "button", "aria-pressed": String(name === face.by_hand), "aria-keyshortcuts": key },
        key ? make("kbd", {}, key) : null, make("span", {}, name));
      button.addEventListener("click", () => save(name));
      return button;
    }));
  } else {
    $("number-name").textContent = `${title[0].toUpperCase()}${title.slice(1)}${attribute === "age" ? ", years" : ""}`;
    $("value").value = face.by_hand;
    if (!document.activeElement || document.activeElement === document.body) $("value").focus();
  }
  const next = faces[at + 1];
  if (next) new Image().src = `/app/crop/${next.address}?v=${work.dataset.version}`;
  await picture.decode().catch(() => {}); // another face came, or there is no picture
  if (faces[at] === face) seen = true;
}

function showQueue() {
  const rest = faces.slice(at + 1, at + 1 + QUEUE);
  $("queue-part").hidden = !rest.length;
  $("queue").replaceChildren(...rest.map((face, i) => {
    const button = make("button", { type: "button" },
      make("img", { src: `/app/thumbnail/${face.address}?v=${work.dataset.version}`, alt: `Label ${face.name}`, width: 176, height: 176, loading: "lazy" }),
      make("span", { class: "line" }, face.by_hand || face.now));
    button.addEventListener("click", () => { at += i + 1; tell(""); show(); scrollTo({ top: 0 }); });
    return make("li", { class: "card" }, button);
  }));
}

function mine() {
  return changes.find((entry) => entry.browser === browser);
}

function showChanges() {
  $("undo").disabled = !mine();
  $("none").hidden = changes.length > 0;
  const text = (label) => label || "nothing";
  $("changes").replaceChildren(...(changes.length ? [makeTable("The last labels, the latest first", ["face", "label", "before → after", "who", "when", ""],
    changes.map((entry) => {
      const button = make("button", { type: "button", class: "plain", "aria-label": `Take back the label of ${entry.filename}` }, "Undo");
      button.addEventListener("click", () => undo(entry));
      return [entry.filename, entry.column.replaceAll("_", " "), entry.old || entry.new ? `${text(entry.old)} → ${text(entry.new)}` : "unsure",
        entry.who || "–", new Date(entry.when).toLocaleString(), button];
    }))] : []));
}

// One request at a time. What is pressed meanwhile is no answer to a face that is not seen yet: it is
// dropped, and the page says so.
async function send(path, body) {
  if (busy) return null;
  busy = true;
  work.setAttribute("aria-busy", "true");
  tell("");
  try {
    const answer = await post(path, { who: $("who").value.trim(), browser, ...body });
    changes = answer.changes;
    return answer.entry;
  } catch (error) {
    tell(`${error.message}.`);
    if (error.code === "changed_meanwhile") await load(faces[at]?.name);
    return null;
  } finally {
    busy = false;
    work.removeAttribute("aria-busy");
  }
}

async function save(label, isNew = false) {
  const face = faces[at];
  if (!face) return;
  if (busy || !seen) {
    $("state").textContent = "Saving … What you press now labels nothing.";
    return;
  }
  const entry = await send("/app/api/label", { face: face.name, attribute, label, before: face.by_hand, new: isNew });
  if (!entry) return;
  if (isNew) classes = [...classes, entry.new].sort();
  if (entry.new) face.by_hand = entry.new;
  if ($("list").value === "faces") at = Math.min(at + 1, faces.length - 1);
  else faces.splice(at, 1);
  if (at >= faces.length) at = 0;
  $("new-name").value = "";
  $("another").open = false;
  show();
}

async function undo(entry) {
  if (!entry || !await send("/app/api/label/undo", { id: entry.id })) return;
  if (entry.column !== attribute) $("attribute").value = entry.column;
  await load(entry.filename);
}

$("unsure").addEventListener("click", () => save(""));
$("skip").addEventListener("click", () => {
  if ($("list").value === "faces") at = (at + 1) % faces.length;
  else faces.push(...faces.splice(at, 1));
  if (at >= faces.length) at = 0;
  tell("");
  show();
});
$("undo").addEventListener("click", () => undo(mine()));
$("number").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("value").value.trim()) save($("value").value.trim());
});
$("new").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("new-name").value.trim()) save($("new-name").value.trim(), true);
});
$("choice").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["attribute", "list"]) $(id).addEventListener("change", () => { tell(""); load(); });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || work.hidden && event.key !== "z") return;
  const typing = event.target.closest("input, textarea, select");
  if (typing && !(event.target.id === "value" && "usz".includes(event.key))) return;
  const key = event.key.toLowerCase();
  const button = /^[1-9]$/.test(key) && classes ? $("answers").children[Number(key) - 1] : { u: $("unsure"), s: $("skip"), z: $("undo") }[key];
  if (!button || button.disabled) return;
  event.preventDefault();
  button.click();
});
load();
