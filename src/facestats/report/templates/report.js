"use strict";
// What is folded prints unfolded, and opens for who follows a link to it. Sorting tables: a click,
// Enter or Space on a column's head; again for the other direction. Without script, tables stand as
// they are.
(function () {
  function value(row, column) {
    const text = row.cells[column].textContent.trim();
    const number = parseFloat(text.replace("\u2212", "-").replace(/(\d),(?=\d{3})/g, "$1"));
    return { text: text, number: /^[\u2212-]?[\d.]/.test(text) ? number : NaN };
  }

  function compare(a, b) {
    const first = Number.isNaN(a.number), second = Number.isNaN(b.number);
    if (first && second) return a.text.localeCompare(b.text, "en");
    if (first || second) return first ? 1 : -1;
    return a.number - b.number;
  }

  function sort(table, column, head) {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const numbers = function (row) { return !Number.isNaN(value(row, column).number); };
    const rows = Array.from(table.tBodies[0].rows);
    rows.sort(function (a, b) {
      const order = compare(value(a, column), value(b, column));
      // What was not measured stays below, whichever the direction.
      return down && numbers(a) === numbers(b) ? -order : order;
    });
    table.tBodies[0].append(...rows);
  }

  for (const table of document.querySelectorAll("table")) {
    if (table.tBodies[0].rows.length < 2) continue;
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", function () { sort(table, column, head); });
    });
  }

  function unfold() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.querySelector(":scope > details");
    if (!details) return;
    details.open = true;
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", unfold);
  unfold();

  const folded = [];
  window.addEventListener("beforeprint", function () {
    folded.push(...document.querySelectorAll("details:not([open])"));
    for (const details of folded) details.open = true;
  });
  window.addEventListener("afterprint", function () {
    while (folded.length) folded.pop().open = false;
  });
}());
