// Points on a canvas: 100,000 of them within a frame. They are blended into one picture, for which
// no graphics card is needed.

// The colours of numbers: even steps of lightness in OKLab, from faint to strong upon the paper.
function scale(dark) {
  const codes = new Uint8Array(3 * 255);
  for (let i = 0; i < 255; i++) {
    const t = i / 254, light = dark ? 0.38 + 0.54 * t : 0.84 - 0.56 * t;
    const hue = (dark ? 285 - 185 * t : 100 + 185 * t) * Math.PI / 180, chroma = 0.11;
    codes.set(oklab(light, chroma * Math.cos(hue), chroma * Math.sin(hue)), 3 * i);
  }
  return codes;
}

function oklab(light, a, b) {
  const [l, m, s] = [light + 0.3963377774 * a + 0.2158037573 * b, light - 0.1055613458 * a - 0.0638541728 * b,
    light - 0.0894841775 * a - 1.291485548 * b].map((v) => v ** 3);
  return [4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s, -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s].map((v) => {
    const one = Math.min(1, Math.max(0, v));
    return Math.round(255 * (one <= 0.0031308 ? 12.92 * one : 1.055 * one ** (1 / 2.4) - 0.055));
  });
}

// Three bytes a code, 256 codes: of classes or numbers, and of faces without a value.
export function palette(kind) {
  const styles = getComputedStyle(document.documentElement);
  const bytes = new Uint8Array(3 * 256);
  const read = (name) => styles.getPropertyValue(name).trim().match(/[\da-f]{2}/gi).map((hex) => parseInt(hex, 16));
  if (kind === "number") bytes.set(scale(matchMedia("(prefers-color-scheme: dark)").matches));
  else for (let i = 0; i < 8; i++) bytes.set(read(`--class-${i}`).slice(0, 3), 3 * i);
  bytes.set(read("--line").slice(0, 3), 3 * 255);
  return bytes;
}

// What part of each pixel a disc covers.
function disc(radius) {
  const reach = Math.ceil(radius), dots = [];
  for (let y = -reach; y <= reach; y++) for (let x = -reach; x <= reach; x++) {
    const share = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y)));
    if (share > 0) dots.push([x, y, Math.round(256 * share)]);
  }
  return dots;
}

export class Points {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.places = new Float32Array(0);
    this.codes = new Uint8Array(0);
    this.colours = new Uint8Array(768);
    this.chosen = null; // Uint8Array: what is not in it is faint
  }

  get count() {
    return this.places.length / 2;
  }

  // The view: `scale` pixels a unit around the middle `x`, `y`; the map's y goes up.
  draw({ x, y, scale: zoom }) {
    const { width, height } = this.canvas;
    if (!width || !height) return;
    if (this.picture?.width !== width || this.picture?.height !== height) this.picture = new ImageData(width, height);
    const data = this.picture.data, { places, codes, colours, chosen } = this;
    data.fill(0);
    const ratio = devicePixelRatio || 1;
    const size = Math.min(5, Math.max(1.1, 60 / Math.sqrt(this.count)) * Math.min(2.2, (zoom / this.whole) ** 0.3)) * ratio;
    const dots = disc(size), reach = Math.ceil(size);
    for (const faint of chosen ? [1, 0] : [0]) {
      const strength = faint ? 40 : 225;
      for (let i = 0, at = 0; i < codes.length; i++, at += 2) {
        if (chosen && !chosen[i] !== !!faint) continue;
        const px = Math.round((places[at] - x) * zoom + width / 2), py = Math.round((y - places[at + 1]) * zoom + height / 2);
        if (!(px >= reach && py >= reach && px < width - reach && py < height - reach)) continue;
        const c = 3 * codes[i], r = colours[c], g = colours[c + 1], b = colours[c + 2];
        for (let k = 0; k < dots.length; k++) {
          const dot = dots[k], p = 4 * ((py + dot[1]) * width + px + dot[0]), own = (dot[2] * strength) >> 8;
          blend(data, p, r, g, b, own);
        }
      }
    }
    this.context.putImageData(this.picture, 0, 0);
  }

  // Pixels a unit at which all is in view, and its middle.
  fit() {
    const { width, height } = this.canvas, { places } = this;
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let at = 0; at < places.length; at += 2) {
      const px = places[at], py = places[at + 1];
      if (Number.isNaN(px) || Number.isNaN(py)) continue;
      if (px < left) left = px;
      if (px > right) right = px;
      if (py < low) low = py;
      if (py > high) high = py;
    }
    this.whole = 0.92 * Math.min(width / (right - left || 1), height / (high - low || 1));
    return { x: (left + right) / 2, y: (low + high) / 2, scale: this.whole };
  }

  // The point nearest to a place, within so many units; -1 where there is none.
  nearest(x, y, reach) {
    let best = reach * reach, found = -1;
    for (let i = 0, at = 0; i < this.count; i++, at += 2) {
      const distance = (this.places[at] - x) ** 2 + (this.places[at + 1] - y) ** 2;
      if (distance < best) { best = distance; found = i; }
    }
    return found;
  }

  // The points in a polygon, by the even-odd rule; as the server's `inside`.
  within(corners) {
    const inside = new Uint8Array(this.count);
    const xs = corners.map(([x]) => x), ys = corners.map(([, y]) => y);
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    let number = 0;
    for (let i = 0, at = 0; i < inside.length; i++, at += 2) {
      const x = this.places[at], y = this.places[at + 1];
      if (!(x >= left && x <= right && y >= low && y <= high)) continue;
      let odd = 0;
      for (let k = 0, before = corners.length - 1; k < corners.length; before = k++) {
        const y0 = ys[before], y1 = ys[k];
        if (y0 > y !== y1 > y && x < (xs[k] - xs[before]) * (y - y0) / (y1 - y0) + xs[before]) odd ^= 1;
      }
      inside[i] = odd;
      number += odd;
    }
    return { inside, number };
  }
}

function blend(data, p, r, g, b, own) {
  const under = data[p + 3];
  if (!under) {
    data[p] = r; data[p + 1] = g; data[p + 2] = b; data[p + 3] = own;
    return;
  }
  const whole = own + ((under * (255 - own)) >> 8), share = own / whole;
  data[p] += (r - data[p]) * share;
  data[p + 1] += (g - data[p + 1]) * share;
  data[p + 2] += (b - data[p + 2]) * share;
  data[p + 3] = whole;
}

// Fewer corners, as near to the drawn line as so many allow (Douglas-Peucker).
export function simplified(corners, most) {
  const keep = (tolerance) => {
    const kept = new Uint8Array(corners.length);
    kept[0] = kept[corners.length - 1] = 1;
    const parts = [[0, corners.length - 1]];
    while (parts.length) {
      const [from, to] = parts.pop(), [ax, ay] = corners[from], [bx, by] = corners[to];
      const length = Math.hypot(bx - ax, by - ay);
      let far = tolerance, at = -1;
      for (let i = from + 1; i < to; i++) {
        const [px, py] = corners[i];
        const distance = length ? Math.abs((bx - ax) * (ay - py) - (ax - px) * (by - ay)) / length : Math.hypot(px - ax, py - ay);
        if (distance > far) { far = distance; at = i; }
      }
      if (at > 0) { kept[at] = 1; parts.push([from, at], [at, to]); }
    }
    return corners.filter((_, i) => kept[i]);
  };
  const xs = corners.map(([x]) => x);
  let tolerance = (Math.max(...xs) - Math.min(...xs)) / 1000, left = keep(tolerance);
  while (left.length > most) left = keep(tolerance *= 1.5);
  return left;
}
