// The map's part in the browser: dots on a canvas, the nearest found through a grid of cells. Names are written as text.

const REACH = 14; // pixels within which a unit is pointed at
const CELLS = 128; // a side of the grid
const MOST_ZOOM = 40;
const STEP = 1.6; // of a zoom
const MARGIN = 14; // pixels
const MOST_CORNERS = 32; // of an area
const AREA = 1000; // units of an area's corners: the whole side
const MOST_KEPT = 24;
const ROUND_BITS = 4;
const ROUNDS = 1 << ROUND_BITS;
const SPREAD = 0x9e3779b1; // numbers in a row times this are spread evenly (Knuth)
const maps = new WeakMap(); // by the element they fill
const kept = new Map(); // by address: what was fetched

export default function ({ data, parentElement, setTriggerValue }) {
  if (!maps.has(parentElement)) maps.set(parentElement, new UnitMap(parentElement.querySelector(".map")));
  const map = maps.get(parentElement);
  map.ask = (asked) => setTriggerValue("asked", { token: map.data.token, ...asked });
  map.update(data);
  return () => {
    map.close();
    maps.delete(parentElement);
  };
}

function fetched(address, read) {
  if (!kept.has(address)) {
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value);
    const answer = fetch(address).then((got) => (got.ok ? read(got) : Promise.reject(new Error(String(got.status)))));
    answer.catch(() => kept.delete(address));
    kept.set(address, answer);
  }
  return kept.get(address);
}

async function unpacked(got) {
  const text = await new Response(got.body.pipeThrough(new DecompressionStream("gzip"))).text();
  return text.split("\n");
}

class UnitMap {
  constructor(root) {
    this.part = (name) => root.querySelector(name);
    this.stage = this.part(".stage");
    this.dots = this.part(".dots");
    this.marks = this.part(".marks");
    this.tip = this.part(".tip");
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.data = {};
    this.places = this.shades = null;
    this.labels = this.sentences = [];
    this.at = this.only = -1; // the unit that is pointed at; the one colour that is shown
    this.ending = new AbortController();
    this.listen();
  }

  listen() {
    const on = (target, type, act, options = {}) =>
      target.addEventListener(type, act, { ...options, signal: this.ending.signal });
    on(this.part(".in"), "click", () => this.zoom(STEP));
    on(this.part(".out"), "click", () => this.zoom(1 / STEP));
    on(this.part(".whole"), "click", () => this.whole());
    on(this.part(".lasso"), "click", () => this.setLasso(!this.lasso));
    on(this.part(".clear"), "click", () => this.ask({ area: "" }));
    on(this.stage, "pointerdown", (event) => this.down(event));
    on(this.stage, "pointermove", (event) => this.move(event));
    on(this.stage, "pointerup", (event) => this.up(event));
    on(this.stage, "pointercancel", () => this.drop());
    on(this.stage, "pointerleave", () => this.drag || this.point(-1));
    on(this.stage, "keydown", (event) => this.key(event));
    on(this.stage, "focus", () => this.stage.matches(":focus-visible") && this.at < 0 && this.walk(this.data.chosen));
    on(this.stage, "blur", () => this.point(-1));
    on(this.stage, "wheel", (event) => this.wheel(event), { passive: false });
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.stage);
  }

  close() {
    this.ending.abort();
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
  }

  // What Python says

  async update(data) {
    const before = this.data;
    this.data = data;
    this.stage.ariaLabel = data.label;
    this.part(".clear").hidden = !data.area;
    if (before.token !== undefined && before.token !== data.token) {
      this.view = { x: 0.5, y: 0.5, zoom: 1 };
      this.at = -1;
      this.tell("");
    }
    if (before.shades !== data.shades) this.only = -1;
    try {
      const numbers = (got) => got.arrayBuffer().then((buffer) => new Uint16Array(buffer));
      const [places, shades] = await Promise.all([fetched(data.places, numbers), fetched(data.shades, numbers)]);
      if (data !== this.data) return; // there is something newer
      if (places !== this.places) this.place(places);
      this.shades = shades;
      this.order();
      this.showLegend();
      this.draw();
      this.read(data);
    } catch {
      this.tell("The map did not arrive; reload the page.");
    }
  }

  async read(data) {
    // Texts come after the picture; without them it is as good as it was.
    const lines = (address) => (address ? fetched(address, unpacked).catch(() => []) : []);
    const [labels, sentences] = await Promise.all([lines(data.labels), lines(data.sentences)]);
    if (data !== this.data) return;
    Object.assign(this, { labels, sentences });
    const { at } = this; // what was pointed at in the meantime is told now
    this.at = -1;
    if (at === this.walked) this.walk(at);
    else this.point(at);
  }

  place(places) {
    this.places = places;
    this.n = places.length / 2;
    this.xs = Float32Array.from({ length: this.n }, (_, i) => places[2 * i] / 65535);
    this.ys = Float32Array.from({ length: this.n }, (_, i) => 1 - places[2 * i + 1] / 65535);
    const cells = Uint16Array.from(this.xs, (x, i) => this.cell(x) + CELLS * this.cell(this.ys[i]));
    this.starts = new Uint32Array(CELLS * CELLS + 1);
    for (const cell of cells) this.starts[cell + 1] += 1;
    for (let i = 0; i < CELLS * CELLS; i += 1) this.starts[i + 1] += this.starts[i];
    const next = this.starts.slice();
    this.inCells = new Uint32Array(this.n);
    cells.forEach((cell, i) => (this.inCells[next[cell]++] = i));
  }

  cell(share) {
    return Math.min(CELLS - 1, Math.max(0, Math.floor(share * CELLS)));
  }

  order() {
    // Those that say nothing lie below; the others are drawn in rounds of all colours, so that none hides the rest.
    const n = this.data.entries.length;
    this.counts = new Uint32Array(n);
    const sizes = new Uint32Array(n * ROUNDS);
    const turn = (shade, i) => (this.data.quiet && !shade ? 0 : shade + n * (Math.imul(i, SPREAD) >>> (32 - ROUND_BITS)));
    this.shades.forEach((shade, i) => {
      this.counts[shade] += 1;
      sizes[turn(shade, i)] += 1;
    });
    const next = new Uint32Array(sizes.length);
    for (let i = 1; i < next.length; i += 1) next[i] = next[i - 1] + sizes[i - 1];
    this.turns = Array.from(next, (start, i) => ({ shade: i % n, start, end: start + sizes[i] }));
    this.drawn = new Uint32Array(this.n);
    this.shades.forEach((shade, i) => (this.drawn[next[turn(shade, i)]++] = i));
  }

  // Where things are

  fit() {
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    const scale = (Math.min(width, height) - 2 * MARGIN) * this.view.zoom;
    return { width, height, scale, left: width / 2 - this.view.x * scale, top: height / 2 - this.view.y * scale };
  }

  under(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  onMap([across, down]) {
    const { scale, left, top } = this.fit();
    return [(across - left) / scale, (down - top) / scale];
  }

  inStage(unit) {
    const { scale, left, top } = this.fit();
    return [left + this.xs[unit] * scale, top + this.ys[unit] * scale];
  }

  nearest(spot) {
    const [x, y] = this.onMap(spot);
    const reach = REACH / this.fit().scale;
    let [best, least] = [-1, reach * reach];
    for (let row = this.cell(y - reach); row <= this.cell(y + reach); row += 1) {
      const start = this.starts[CELLS * row + this.cell(x - reach)];
      const end = this.starts[CELLS * row + this.cell(x + reach) + 1];
      for (let place = start; place < end; place += 1) {
        const i = this.inCells[place];
        if (this.only >= 0 && this.shades[i] !== this.only) continue;
        const far = (this.xs[i] - x) ** 2 + (this.ys[i] - y) ** 2;
        if (far < least) [best, least] = [i, far];
      }
    }
    return best;
  }

  // Drawing

  pen(canvas, { width, height }) {
    const dense = window.devicePixelRatio || 1;
    const [wide, tall] = [Math.round(width * dense), Math.round(height * dense)];
    if (canvas.width !== wide || canvas.height !== tall) Object.assign(canvas, { width: wide, height: tall });
    const pen = canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, width, height);
    return pen;
  }

  draw() {
    if (!this.shades || !this.stage.clientWidth) return;
    const fit = this.fit();
    const pen = this.pen(this.dots, fit);
    const radius = Math.min(6, Math.max(1.1, (0.24 * fit.scale) / Math.sqrt(this.n)));
    const faint = this.only >= 0 ? 0.12 : 0.35;
    this.turns.forEach(({ shade, start, end }) => {
      if (start === end) return;
      const isQuiet = this.only >= 0 ? shade !== this.only : shade === 0 && this.data.quiet;
      pen.globalAlpha = isQuiet ? faint : 0.85;
      pen.fillStyle = this.data.entries[shade].colour;
      pen.beginPath();
      for (let place = start; place < end; place += 1) {
        const i = this.drawn[place];
        const x = fit.left + this.xs[i] * fit.scale;
        const y = fit.top + this.ys[i] * fit.scale;
        if (x < -radius || y < -radius || x > fit.width + radius || y > fit.height + radius) continue;
        if (radius < 2) pen.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
        else {
          pen.moveTo(x + radius, y);
          pen.arc(x, y, radius, 0, 2 * Math.PI);
        }
      }
      pen.fill();
    });
    this.radius = radius;
    this.mark();
  }

  mark() {
    if (!this.shades) return;
    const fit = this.fit();
    const pen = this.pen(this.marks, fit);
    const ink = getComputedStyle(this.stage).color;
    const ring = (i, wide) => {
      pen.beginPath();
      pen.arc(...this.inStage(i), this.radius + wide, 0, 2 * Math.PI);
      pen.stroke();
    };
    pen.strokeStyle = ink;
    pen.lineWidth = 1.5;
    const corners = this.path ?? cornersOf(this.data.area);
    if (corners.length) {
      pen.beginPath();
      corners.forEach(([x, y]) => pen.lineTo(fit.left + x * fit.scale, fit.top + y * fit.scale));
      if (!this.path) pen.closePath();
      pen.stroke();
      pen.globalAlpha = 0.06;
      pen.fillStyle = ink;
      pen.fill();
      pen.globalAlpha = 1;
    }
    if (this.data.chosen >= 0) {
      ring(this.data.chosen, 5);
      ring(this.data.chosen, 8);
    }
    if (this.at >= 0) ring(this.at, 3);
  }

  soon(act) {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(act);
  }

  point(unit) {
    if (unit === this.at) return;
    this.at = unit;
    this.mark();
    this.stage.style.cursor = this.lasso ? "crosshair" : unit >= 0 ? "pointer" : this.view.zoom > 1 ? "grab" : "";
    this.tip.hidden = unit < 0;
    if (unit < 0) return;
    this.part(".tip .name").textContent = this.labels[unit] ?? "";
    this.part(".tip .said").textContent = this.sentences[unit] ?? "";
    const fit = this.fit();
    const [x, y] = this.inStage(unit);
    const { offsetWidth: wide, offsetHeight: tall } = this.tip;
    this.tip.style.left = `${Math.max(2, Math.min(fit.width - wide - 2, x - wide / 2))}px`;
    this.tip.style.top = `${y - tall - 12 > 2 ? y - tall - 12 : Math.min(y + 14, fit.height - tall - 2)}px`;
  }

  tell(text) {
    this.part(".status").textContent = text;
  }

  showLegend() {
    if (this.listed === this.data.shades) return;
    this.listed = this.data.shades;
    const made = this.data.entries.map(({ name, colour }, shade) => {
      const entry = document.createElement("button");
      entry.type = "button";
      entry.hidden = !this.counts[shade];
      entry.ariaPressed = "false";
      entry.title = `Show ${name} alone`;
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = colour;
      const count = document.createElement("span");
      count.className = "count";
      count.textContent = this.counts[shade].toLocaleString("en");
      entry.append(swatch, name, count);
      entry.addEventListener("click", () => {
        this.only = this.only === shade ? -1 : shade;
        [...this.part(".legend").children].forEach((one, i) => (one.ariaPressed = String(i === this.only)));
        this.point(-1);
        this.draw();
      });
      return entry;
    });
    this.part(".legend").replaceChildren(...made);
  }

  // Moving

  zoom(times, spot) {
    const { width, height } = this.fit();
    const held = spot ?? [width / 2, height / 2];
    const before = this.onMap(held);
    this.view.zoom = Math.min(MOST_ZOOM, Math.max(1, this.view.zoom * times));
    const after = this.onMap(held);
    this.view.x += before[0] - after[0];
    this.view.y += before[1] - after[1];
    this.moved();
  }

  zoomHere(times) {
    const { at } = this; // stays where it is, and pointed at
    this.zoom(times, at < 0 ? undefined : this.inStage(at));
    this.point(at);
  }

  whole() {
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.moved();
  }

  moved() {
    if (this.view.zoom === 1) Object.assign(this.view, { x: 0.5, y: 0.5 });
    this.view.x = Math.min(1, Math.max(0, this.view.x));
    this.view.y = Math.min(1, Math.max(0, this.view.y));
    this.hold();
    this.point(-1);
    this.soon(() => this.draw());
  }

  hold() {
    this.stage.classList.toggle("held", !!this.lasso || this.view.zoom > 1); // fingers no longer scroll the page
  }

  setLasso(on) {
    this.lasso = on;
    this.part(".lasso").ariaPressed = String(on);
    this.stage.style.cursor = on ? "crosshair" : "";
    this.hold();
    if (on) this.tell("Draw around units to list them.");
  }

  wheel(event) {
    if (!event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 200), this.under(event));
  }

  down(event) {
    if (event.button || !this.shades) return;
    const spot = this.under(event);
    this.drag = { from: spot, view: { ...this.view }, far: false };
    if (this.lasso) this.path = [this.onMap(spot)];
    this.stage.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.shades) return;
    const spot = this.under(event);
    if (!this.drag) {
      this.point(this.nearest(spot));
      return;
    }
    const [across, down] = [spot[0] - this.drag.from[0], spot[1] - this.drag.from[1]];
    this.drag.far ||= Math.hypot(across, down) > 4;
    if (this.path) {
      this.path.push(this.onMap(spot));
      this.mark();
    } else if (this.drag.far && this.view.zoom > 1) {
      const { scale } = this.fit();
      Object.assign(this.view, { x: this.drag.view.x - across / scale, y: this.drag.view.y - down / scale });
      this.moved();
    }
  }

  up(event) {
    const { drag, path } = this;
    this.drop();
    if (!drag) return;
    if (drag.far && path) {
      this.setLasso(false);
      this.ask({ area: areaOf(path) });
    } else if (!drag.far) {
      const unit = this.nearest(this.under(event));
      if (unit >= 0) this.pick(unit);
    }
  }

  drop() {
    this.drag = this.path = null;
    this.mark();
  }

  pick(unit) {
    this.data.chosen = unit;
    this.mark();
    this.ask({ unit });
  }

  // Keys

  key(event) {
    if (event.altKey || event.metaKey || event.ctrlKey || !this.shades) return;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const act = {
      "+": () => this.zoomHere(STEP), "=": () => this.zoomHere(STEP), "-": () => this.zoomHere(1 / STEP),
      0: () => this.whole(),
      Enter: () => this.at >= 0 && this.pick(this.at), " ": () => this.at >= 0 && this.pick(this.at),
      Escape: () => (this.lasso ? this.setLasso(false) : this.data.area && this.ask({ area: "" })),
    }[event.key];
    if (!way && !act) return;
    event.preventDefault();
    if (act) act();
    else this.go(way);
  }

  go([across, down]) {
    const first = this.at >= 0 ? this.at : this.data.chosen;
    const from = first >= 0 ? [this.xs[first], this.ys[first]] : [this.view.x, this.view.y];
    let [best, least] = [first, Infinity];
    for (let i = 0; i < this.n; i += 1) {
      if (i === first || (this.only >= 0 && this.shades[i] !== this.only)) continue;
      const [x, y] = [this.xs[i] - from[0], this.ys[i] - from[1]];
      const along = x * across + y * down;
      const aside = Math.abs(x * down) + Math.abs(y * across);
      if (along > 0 && aside <= along && along + 2 * aside < least) [best, least] = [i, along + 2 * aside];
    }
    if (best < 0) return;
    const { width, height } = this.fit();
    const [x, y] = this.inStage(best);
    if (x < 0 || y < 0 || x > width || y > height) {
      Object.assign(this.view, { x: this.xs[best], y: this.ys[best] });
      this.draw();
    }
    this.walk(best);
  }

  walk(unit) {
    if (!this.shades || unit < 0) return;
    this.at = -1;
    this.walked = unit; // by keys: it is also told to who does not see
    this.point(unit);
    this.tell([this.labels[unit], this.sentences[unit]].filter(Boolean).join(". "));
  }
}

// An area as the address has it: corners "x.y", with dashes between them, y up as in the store.

function areaOf(path) {
  const each = Math.max(1, Math.ceil(path.length / MOST_CORNERS));
  const whole = (share) => Math.round(AREA * Math.min(1, Math.max(0, share)));
  return path.filter((_, i) => i % each === 0).map(([x, y]) => `${whole(x)}.${whole(1 - y)}`).join("-");
}

function cornersOf(area) {
  return (area || "").split("-").filter(Boolean).map((corner) => {
    const [x, y] = corner.split(".").map(Number);
    return [x / AREA, 1 - y / AREA];
  });
}
