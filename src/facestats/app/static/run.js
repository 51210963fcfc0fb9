// What DVC says takes seconds: it is asked for until the answer is there.
import { get } from "./api.js";
import { $, make, makeTable } from "./dom.js";

const WAIT = 1000; // ms

async function ask(id, path, draw) {
  const host = $(id);
  for (;;) {
    let answer;
    try {
      answer = await get(path);
    } catch (error) {
      answer = { state: "failed", why: error.message };
    }
    if (answer.state === "done") return host.replaceChildren(...draw(answer.content));
    if (answer.state === "failed") return host.replaceChildren(make("p", { class: "warning" }, `DVC can't tell: ${answer.why}`));
    await new Promise((done) => setTimeout(done, WAIT));
  }
}

function drawStages(stages) {
  if (!stages.length) return [make("p", {}, "Nothing: all is up to date.")];
  const text = `${stages.length} ${stages.length === 1 ? "stage is" : "stages are"} stale; dvc repro runs them, and what follows from them.`;
  const rows = stages.map(({ stage, reasons }) => [stage, reasons.slice(0, 4).join("; ") + (reasons.length > 4 ? " …" : "")]);
  const table = makeTable("Stale stages", ["stage", "why"], rows);
  return [make("p", {}, text), rows.length > 6 ? make("details", {}, make("summary", {}, "Which, and why"), table) : table];
}

ask("stale", "/app/api/run/stale", drawStages);
ask("experiments", "/app/api/run/experiments", ({ head, rows, left_out }) => (rows.length > 1
  ? [makeTable("Experiments: metrics, and the parameters that differ", head, rows), left_out ? make("p", { class: "note" }, `${left_out} more rows or columns: dvc exp show`) : ""]
  : [make("p", {}, "No experiments: dvc exp run tries other parameters.")]));
