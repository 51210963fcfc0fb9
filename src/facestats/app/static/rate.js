// Rating: one face at a time. An answer is written before the next face is shown, with the seconds
// from when the face was seen; what is pressed before that is no answer to it.
import { post } from "./api.js";
import { $ } from "./dom.js";

const version = $("work").dataset.version;
const memory = "facestats-rating"; // of this tab: the next person's tab knows nothing of it
let who = null, face = null, repeat = false, last = null, seen = 0, busy = false;

function tell(text) {
  $("problem").textContent = text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "";
  $("problem").hidden = !text;
}

function remember(value) {
  try {
    if (value) sessionStorage.setItem(memory, JSON.stringify(value));
    else sessionStorage.removeItem(memory);
  } catch { /* the browser keeps nothing */ }
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(memory));
  } catch {
    return null;
  }
}

async function send(path, body) {
  if (busy) return;
  busy = true;
  $("work").setAttribute("aria-busy", "true");
  tell("");
  try {
    await show(await post(path, body), body.trait);
  } catch (error) {
    tell(error.message);
  } finally {
    busy = false;
    $("work").removeAttribute("aria-busy");
  }
}

async function show(answer, trait) {
  if (!answer.agreed) {
    chooseWho(false);
    tell("please read what you agree to, and tick the box");
    return;
  }
  who = { rater: answer.rater, trait };
  ({ repeat, last } = answer);
  remember(who);
  $("start").hidden = $("again").hidden = true;
  for (const button of document.querySelectorAll(".undo")) button.disabled = !last;
  if (!answer.face) {
    finish(`You have judged all ${answer.total} faces.`);
    return;
  }
  face = answer.face.name;
  seen = 0;
  $("work").hidden = false;
  $("end").hidden = true;
  $("trait").value = trait;
  $("question").textContent = `How ${$("trait").selectedOptions[0].textContent} is this face?`;
  $("progress").max = answer.total;
  $("progress").value = answer.done;
  $("state").textContent = `${answer.done} of ${answer.total} judged by ${who.rater}`;
  const picture = $("picture");
  picture.src = `/app/crop/${answer.face.address}?v=${version}`;
  await picture.decode().catch(() => tell("this face's picture can't be shown"));
  seen = performance.now();
  if ($("value")) { $("value").value = ""; $("value").focus(); }
  if (answer.upcoming) new Image().src = `/app/crop/${answer.upcoming}?v=${version}`;
}

function finish(text) {
  $("work").hidden = true;
  $("end").hidden = false;
  $("end-text").textContent = text;
  $("end-title").focus();
}

// After a reload: go on as before, or begin.
function chooseWho(again) {
  $("again").hidden = !again;
  $("start").hidden = again;
}

function rate(rating) {
  if (!seen || !Number.isFinite(rating)) return;
  send("/app/api/rate", { ...who, face, repeat, rating, seconds: (performance.now() - seen) / 1000 });
}

$("start").addEventListener("submit", (event) => {
  event.preventDefault();
  send("/app/api/rate/begin", { rater: $("rater").value, trait: $("trait").value, agreed: $("agreed").checked });
});
$("again").addEventListener("submit", (event) => {
  event.preventDefault();
  send("/app/api/rate/begin", { ...who, agreed: false });
});
$("other").addEventListener("click", () => { remember(null); $("rater").value = ""; chooseWho(false); });
for (const button of $("answers").children) button.addEventListener("click", () => rate(Number(button.value)));
$("number")?.addEventListener("submit", (event) => {
  event.preventDefault();
  rate(Number($("value").value.replace(",", ".") || NaN));
});
$("skip").addEventListener("click", () => { if (seen) send("/app/api/rate/skip", { ...who, face }); });
for (const button of document.querySelectorAll(".undo")) {
  button.addEventListener("click", () => send("/app/api/rate/undo", { ...who, face: last }));
}
$("stop").addEventListener("click", () => { remember(null); finish(`You may go on at any time, as ${who.rater}.`); });
document.addEventListener("keydown", (event) => {
  if (!who || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, textarea, select"), key = event.key.toLowerCase();
  if (typing && !(event.target === $("value") && "sz".includes(key))) return;
  const part = [$("work"), $("end")].find((one) => !one.hidden);
  const answers = /^\d$/.test(key) ? [key, key === "0" ? "10" : null] : [];
  const wanted = { s: "#skip", z: ".undo" }[key];
  const button = wanted ? part?.querySelector(wanted) : part === $("work") && Array.from($("answers").children).find((one) => answers.includes(one.value));
  if (button && !button.disabled) { event.preventDefault(); button.click(); }
});

who = remembered();
if (who) {
  $("rater").value = $("again-name").textContent = who.rater;
  $("trait").value = who.trait;
  chooseWho(true);
}
