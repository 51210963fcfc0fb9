// Rating: one face at a time. An answer is written before the next face is shown, with the seconds
// from when the face was seen.
import { post } from "./api.js";
import { $ } from "./dom.js";

const version = $("work").dataset.version;
let who = null, face = null, seen = 0, busy = false;

function tell(text) {
  $("problem").textContent = text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "";
  $("problem").hidden = !text;
}

async function send(path, body) {
  if (busy) return;
  busy = true;
  tell("");
  try {
    await show(await post(path, body));
  } catch (error) {
    tell(error.message);
  } finally {
    busy = false;
  }
}

async function show(answer) {
  if (!answer.agreed) {
    tell("please read what you agree to, and tick the box");
    return;
  }
  who = { rater: answer.rater, trait: $("trait").value };
  $("start").hidden = true;
  if (!answer.face) {
    finish(`You have judged all ${answer.total} faces.`);
    return;
  }
  face = answer.face.name;
  seen = 0;
  $("work").hidden = false;
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

function rate(rating) {
  if (!seen || !Number.isFinite(rating)) return;
  send("/app/api/rate", { ...who, face, rating, seconds: (performance.now() - seen) / 1000 });
}

$("start").addEventListener("submit", (event) => {
  event.preventDefault();
  send("/app/api/rate/begin", { rater: $("rater").value, trait: $("trait").value, agreed: $("agreed").checked });
});
for (const button of $("answers").children) button.addEventListener("click", () => rate(Number(button.value)));
$("number")?.addEventListener("submit", (event) => {
  event.preventDefault();
  rate(Number($("value").value.replace(",", ".") || NaN));
});
$("stop").addEventListener("click", () => finish(`You may go on at any time, as ${who.rater}.`));
document.addEventListener("keydown", (event) => {
  if ($("work").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const wanted = /^\d$/.test(event.key) ? [event.key, event.key === "0" ? "10" : null] : [];
  const button = Array.from($("answers").children).find((one) => wanted.includes(one.value));
  if (button) { event.preventDefault(); button.click(); }
});
