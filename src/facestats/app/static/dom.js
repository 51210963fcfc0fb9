// Elements with texts, never with markup: names and words of anybody stay what they are.

export function $(id) {
  return document.getElementById(id);
}

// make("p", { class: "note" }, "text", element, …)
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function makeSvg(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// A face of a grid; `face` as cards.py makes it.
export function makeCard(face, version) {
  const picture = make("img", {
    src: `/app/thumbnail/${face.address}?v=${version}`, alt: face.label, width: 176, height: 176, loading: "lazy",
  });
  return make("li", { class: "card" },
    make("a", { href: `/app/face/${face.address}` }, picture,
      make("span", { class: "line" }, face.line)));
}

export function makeTable(caption, head, rows) {
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    make("table", {},
      make("caption", {}, caption),
      head.length ? make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))) : null,
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(
        (text, i) => (i ? make("td", {}, text) : make("th", { scope: "row" }, text)))))))); 
}

// `/` goes to the search field of a page.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = $("search");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});
