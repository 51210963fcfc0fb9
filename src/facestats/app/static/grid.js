// A grid of any number of faces that scrolls with the page: only what is near the window is there.
// Arrows, Home, End and Page keys move; Enter follows the link of the face.

import { makeCard } from "./dom.js";

const CHUNK = 100; // faces a request
const CAPTION = 24; // px below a picture
const GAP = 8;
const MARGIN = 2; // screens above and below that are filled, too

export class Grid {
  // host: a <ul>; load(offset, limit): Promise of faces; options.width: px of a picture;
  // options.onFocus(index); options.make(face, version): an <li> with one link or button
  constructor(host, load, options = {}) {
    this.host = host;
    this.load = load;
    this.make = options.make ?? makeCard;
    this.onFocus = options.onFocus ?? (() => {});
    this.wanted = options.width ?? 132;
    this.total = 0;
    this.version = "";
    this.items = new Map();
    this.chunks = new Map();
    this.current = 0;
    this.queued = false;
    const later = () => this.#later();
    addEventListener("scroll", later, { passive: true });
    new ResizeObserver(() => { this.#measure(); later(); }).observe(host.parentElement);
    host.addEventListener("keydown", (event) => this.#key(event));
    host.addEventListener("focusin", (event) => {
      const item = event.target.closest("li");
      if (item?.dataset.index) this.#choose(Number(item.dataset.index));
    });
  }

  // Shows another selection; `faces` are its first ones, if they are here.
  show(total, version, faces = [], at = 0) {
    this.total = total;
    this.version = version;
    this.chunks.clear();
    this.generation = (this.generation ?? 0) + 1;
    for (const item of this.items.values()) this.#remove(item);
    this.items.clear();
    this.host.replaceChildren();
    this.first = faces;
    this.current = Math.min(at, Math.max(0, total - 1));
    this.host.classList.add("virtual");
    this.#measure();
    if (at) this.#reveal(this.current);
    this.#fill();
  }

  // Moves the focus to a face, and loads it where it is not there yet.
  async focus(index) {
    if (!this.total) return;
    this.#choose(Math.max(0, Math.min(index, this.total - 1)));
    this.#reveal(this.current);
    await this.#fill();
    this.items.get(this.current)?.firstElementChild.focus({ preventScroll: true });
  }

  #measure() {
    const width = this.host.clientWidth;
    this.columns = Math.max(2, Math.floor((width + GAP) / (this.wanted + GAP)));
    this.side = (width - GAP * (this.columns - 1)) / this.columns;
    this.row = this.side + CAPTION + GAP;
    this.host.style.height = `${Math.ceil(this.total / this.columns) * this.row}px`;
    for (const [index, item] of this.items) this.#place(item, index);
  }

  #place(item, index) {
    const x = (index % this.columns) * (this.side + GAP);
    const y = Math.floor(index / this.columns) * this.row;
    item.style.transform = `translate(${x}px, ${y}px)`;
    item.style.width = `${this.side}px`;
  }

  #later() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; this.#fill(); });
  }

  async #fill() {
    const top = -this.host.getBoundingClientRect().top;
    const margin = MARGIN * innerHeight;
    const from = Math.max(0, Math.floor((top - margin) / this.row) * this.columns);
    const to = Math.min(this.total, Math.ceil((top + innerHeight + margin) / this.row) * this.columns);
    for (const [index, item] of this.items) {
      if ((index < from || index >= to) && !item.contains(document.activeElement)) {
        this.#remove(item);
        this.items.delete(index);
      }
    }
    const chunks = [];
    for (let chunk = Math.floor(from / CHUNK); chunk * CHUNK < to; chunk++) chunks.push(this.#chunk(chunk, from, to));
    await Promise.all(chunks);
  }

  async #chunk(number, from, to) {
    const generation = this.generation, start = number * CHUNK;
    if (!this.chunks.has(number)) {
      const enough = start === 0 && this.first.length >= Math.min(this.total, CHUNK);
      const faces = enough ? Promise.resolve(this.first) : this.load(start, CHUNK);
      faces.catch(() => this.chunks.delete(number)); // asked for again when it is scrolled to
      this.chunks.set(number, faces);
    }
    let faces;
    try {
      faces = await this.chunks.get(number);
    } catch {
      return;
    }
    if (generation !== this.generation) return;
    for (let i = Math.max(from, start); i < Math.min(to, start + faces.length); i++) {
      if (!this.items.has(i)) this.#add(i, faces[i - start]);
    }
  }

  #add(index, face) {
    const item = this.make(face, this.version);
    item.dataset.index = index;
    item.setAttribute("aria-setsize", this.total);
    item.setAttribute("aria-posinset", index + 1);
    item.firstElementChild.tabIndex = index === this.current ? 0 : -1;
    this.#place(item, index);
    this.items.set(index, item);
    // In the order of the faces, for who reads and tabs through the page.
    let next = null;
    for (const other of this.host.children) {
      if (Number(other.dataset.index) > index) { next = other; break; }
    }
    this.host.insertBefore(item, next);
  }

  #remove(item) {
    item.remove();
    for (const picture of item.querySelectorAll("img")) picture.removeAttribute("src"); // or it is still fetched
  }

  #choose(index) {
    if (index === this.current) return;
    const before = this.items.get(this.current), now = this.items.get(index);
    if (before) before.firstElementChild.tabIndex = -1;
    if (now) now.firstElementChild.tabIndex = 0;
    this.current = index;
    this.onFocus(index);
  }

  #reveal(index) {
    const top = this.host.getBoundingClientRect().top + scrollY + Math.floor(index / this.columns) * this.row;
    if (top < scrollY + 8) scrollTo({ top: top - 8 });
    else if (top + this.row > scrollY + innerHeight) scrollTo({ top: top + this.row - innerHeight });
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(innerHeight / this.row)) * this.columns;
    const to = {
      ArrowLeft: this.current - 1, ArrowRight: this.current + 1,
      ArrowUp: this.current - this.columns, ArrowDown: this.current + this.columns,
      PageUp: this.current - page, PageDown: this.current + page, Home: 0, End: this.total - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to >= 0 && to < this.total || event.key.startsWith("Page")) this.focus(to);
  }
}
