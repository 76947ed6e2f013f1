// Each neuron is lit as strongly as it answers at the playhead of the page's player, on the map and in the list.

const TIME = "atlas-player-time";
const MOST_LIT = 70; // per cent of colour, at which names have a contrast of 4.5 : 1 on either ground
// Nothing may flash more than three times a second (WCAG 2.3.1): a flash takes two changes, and there are 2.5 a second.
const EVERY_MS = 400;
const FULL = 65535; // a place at 1
const MARGIN = 10; // pixels
const shown = new WeakMap(); // by the element it fills
const places = new Map(); // by address: what was fetched

export default function ({ data, parentElement, setTriggerValue }) {
  if (!shown.has(parentElement)) shown.set(parentElement, { now: 0, lit: 0, changed: -EVERY_MS });
  const lights = new Lights(parentElement.querySelector(".lights"), shown.get(parentElement), data, (name) => setTriggerValue("picked", name));
  return () => lights.close();
}

class Lights {
  constructor(root, state, data, pick) {
    Object.assign(this, { root, state, data, pick });
    this.rows = data.rows.map((row) => ({
      ...row,
      strength: Uint8Array.from(atob(row.strength), (letter) => letter.charCodeAt(0)),
      lamps: [],
    }));
    this.list();
    this.picture();
    this.light();
    this.follow = (event) => {
      this.state.now = event.detail;
      this.soon();
    };
    document.addEventListener(TIME, this.follow);
  }

  close() {
    document.removeEventListener(TIME, this.follow);
    clearTimeout(this.timer);
    this.sizes?.disconnect();
  }

  list() {
    const listed = this.rows.filter((row) => row.listed);
    const list = this.root.querySelector(".list");
    list.classList.toggle("worded", listed.some((row) => row.said));
    list.replaceChildren(
      ...listed.map((row) => {
        const light = document.createElement("button");
        light.type = "button";
        light.title = `Lay ${row.name} over the picture`;
        light.ariaPressed = String(row.name === this.data.chosen);
        light.append(element("name", row.short));
        if (row.said) light.append(element("told", row.said));
        light.addEventListener("click", () => this.pick(row.name));
        row.lamps.push(light);
        return light;
      }),
    );
  }

  // The map of units: all of them in grey, spots over those that are lit.

  async picture() {
    const picture = this.root.querySelector(".picture");
    picture.hidden = !this.data.units;
    if (!this.data.units) return;
    picture.ariaLabel = this.data.label;
    this.root.querySelector(".spots").replaceChildren(
      ...this.rows.filter((row) => row.at).map((row) => {
        const spot = element(`spot${row.name === this.data.chosen ? " chosen" : ""}`, "");
        spot.title = `${row.short} ${row.said}`.trim();
        spot.style.left = `calc(${MARGIN}px + (100% - ${2 * MARGIN}px) * ${row.at[0]})`;
        spot.style.top = `calc(${MARGIN}px + (100% - ${2 * MARGIN}px) * ${1 - row.at[1]})`;
        spot.addEventListener("click", () => this.pick(row.name));
        row.lamps.push(spot);
        return spot;
      }),
    );
    this.light();
    try {
      const units = await fetched(this.data.units);
      this.sizes?.disconnect();
      this.sizes = new ResizeObserver(() => this.draw(units));
      this.sizes.observe(picture);
    } catch {
      picture.title = "The map did not arrive; reload the page.";
    }
  }

  draw(units) {
    const canvas = this.root.querySelector("canvas");
    const [side, dense] = [canvas.clientWidth, window.devicePixelRatio || 1];
    canvas.width = canvas.height = Math.round(side * dense);
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    pen.fillStyle = getComputedStyle(this.root).color;
    pen.globalAlpha = 0.25;
    const inner = side - 2 * MARGIN;
    const wide = Math.min(3, Math.max(1, (0.4 * inner) / Math.sqrt(units.length / 2)));
    for (let i = 0; i < units.length; i += 2) {
      const [x, y] = [(units[i] / FULL) * inner, (1 - units[i + 1] / FULL) * inner];
      pen.fillRect(MARGIN + x - wide / 2, MARGIN + y - wide / 2, wide, wide);
    }
  }

  // Light

  soon() {
    if (this.timer) return;
    const wait = this.state.changed + EVERY_MS - performance.now();
    if (wait <= 0) this.light();
    else this.timer = setTimeout(() => this.light(), wait);
  }

  light() {
    clearTimeout(this.timer);
    this.timer = null;
    const { state } = this;
    // What came and went since the last change is seen too; a jump shows where it ends alone.
    const last = Math.floor(state.now / this.data.step);
    const passed = state.now - state.lit;
    const first = passed > 0 && passed < (2 * EVERY_MS) / 1000 ? Math.floor(state.lit / this.data.step) + 1 : last;
    for (const { strength, lamps } of this.rows) {
      let most = 0;
      for (let column = Math.min(first, last); column <= last; column += 1) most = Math.max(most, strength[column] ?? 0);
      for (const lamp of lamps) {
        lamp.style.setProperty("--lit", `${Math.round((MOST_LIT * most) / 255)}%`);
        lamp.style.setProperty("--full", `${Math.round((100 * most) / 255)}%`);
      }
    }
    Object.assign(state, { lit: state.now, changed: performance.now() });
  }
}

function element(name, text) {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}

function fetched(address) {
  if (!places.has(address)) {
    const answer = fetch(address).then((got) => (got.ok ? got.arrayBuffer() : Promise.reject(new Error(String(got.status)))));
    const numbers = answer.then((buffer) => new Uint16Array(buffer));
    numbers.catch(() => places.delete(address));
    places.set(address, numbers);
  }
  return places.get(address);
}
