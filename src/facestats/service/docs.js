// Lists the routes of openapi.json, with their parameters and answers.
const document_ = await (await fetch("/openapi.json")).json();
const routes = document.getElementById("routes");

function add(parent, tag, text) {
  const element = document.createElement(tag);
  (text ?? "").split("`").forEach((part, i) => { // every second part is code
    if (i % 2) element.append(Object.assign(document.createElement("code"), { textContent: part }));
    else element.append(part);
  });
  parent.append(element);
  return element;
}

function addTable(parent, title, rows) {
  if (!rows.length) return;
  add(parent, "div", title);
  const table = add(parent, "table");
  for (const row of rows) {
    const line = add(table, "tr");
    for (const cell of row) add(line, "td", cell);
  }
}

document.getElementById("about").textContent = document_.info.description;
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, route] of Object.entries(methods)) {
    const section = add(routes, "section");
    add(section, "h2", `${method.toUpperCase()} ${path}`);
    add(section, "div", route.summary);
    if (route.requestBody?.description) add(section, "p", route.requestBody.description);
    addTable(section, "Parameters", (route.parameters ?? []).map(
      (each) => [each.name, each.description ?? "", "default" in (each.schema ?? {}) ? `default ${each.schema.default}` : ""],
    ));
    addTable(section, "Answers", Object.entries(route.responses).map(
      ([status, answer]) => [status, answer.description],
    ));
  }
}
