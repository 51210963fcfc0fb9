// The form of a filter: its fields as a query, told to `changed` a moment after they change.

const PAUSE = 150; // ms after the last key

export function queryOf(form) {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value.trim() && name !== "add" && !(name === "sort" && value === "filename")) fields.append(name, value.trim());
  }
  return fields.toString();
}

export function watchFilter(form, changed) {
  let timer = 0;
  const later = () => { clearTimeout(timer); timer = setTimeout(() => changed(queryOf(form)), PAUSE); };
  form.addEventListener("input", (event) => { if (event.target.name !== "add") later(); });
  form.addEventListener("change", (event) => {
    if (event.target.name !== "add" || !event.target.value) return;
    // The server draws the field that fits the column.
    const fields = new URLSearchParams(queryOf(form));
    for (const one of form.querySelectorAll("fieldset[data-key^='columns.']")) fields.append("add", one.dataset.key.slice(8));
    fields.append("add", event.target.value);
    location.assign(`${form.getAttribute("action")}?${fields}#conditions`);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    changed(queryOf(form));
  });
}
