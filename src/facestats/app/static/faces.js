// The page of all faces: filter, counts, link and grid.
import { get } from "./api.js";
import { $, make } from "./dom.js";
import { watchFilter } from "./filter.js";
import { Grid } from "./grid.js";

const host = $("faces"), form = $("filter");
let query = host.dataset.query;
let asked = 0; // number of the last question: answers to earlier ones are thrown away

const grid = new Grid(host, async (offset, limit) => {
  const page = await get(`/app/api/faces?${query}&offset=${offset}&limit=${limit}`);
  if (page.version !== host.dataset.version) location.reload(); // a new run
  return page.faces;
}, { onFocus: (index) => history.replaceState({ ...history.state, index }, "") });

async function change(wanted) {
  const number = ++asked;
  host.setAttribute("aria-busy", "true");
  let page;
  try {
    page = await get(`/app/api/faces?${wanted}&offset=0&limit=100`);
  } catch (error) {
    if (number === asked) {
      host.removeAttribute("aria-busy");
      tell(error.message);
    }
    return;
  }
  if (number !== asked) return;
  query = page.query;
  host.removeAttribute("aria-busy");
  host.dataset.version = page.version;
  const address = query ? `/app/faces?${query}` : "/app/faces";
  history.replaceState({ index: 0 }, "", address);
  $("link").href = address;
  if ($("label")) $("label").href = `/app/label?list=faces&${query}`;
  $("average").href = `/app/compose?${query}&draw=1`;
  $("counts").replaceChildren(...page.counts.map(([label, n]) => make("span", { class: "count" },
    make("span", { class: "n" }, n.toLocaleString("en")), ` ${label}`)));
  tell(page.hints.join("; "));
  $("below").textContent = page.below;
  $("none").hidden = page.total > 0;
  grid.show(page.total, page.version, page.faces);
}

function tell(text) {
  $("hints").textContent = text;
  $("hints").hidden = !text;
}

if (matchMedia("(min-width: 60rem)").matches || location.hash === "#conditions") $("conditions").open = true;
watchFilter(form, change);
form.addEventListener("keydown", (event) => {
  if (event.key === "Escape" || (event.key === "Enter" && event.target.id === "search")) grid.focus(grid.current);
});
grid.show(Number(host.dataset.total), host.dataset.version, [], history.state?.index ?? 0);
