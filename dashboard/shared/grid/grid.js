// The grid's part in the browser. What a card holds is written as text or drawn, never as HTML.

const MOST_OPAQUE = 0.5; // what it answers to stays visible below
const NEAR = 1200; // pixels beyond the window within which cards are kept
const SOON = 400; // pixels from the end at which more are asked for
const HOVER_MS = 220;
const HOVERS = "atlas-grid-hovers";
const grids = new WeakMap(); // by the element they fill

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  if (!grids.has(parentElement)) grids.set(parentElement, new Grid(parentElement.querySelector(".grid")));
  const grid = grids.get(parentElement);
  grid.send = (asked) => setTriggerValue("asked", asked);
  grid.update(data);
  return () => {
    grid.close();
    grids.delete(parentElement);
  };
}

class Grid {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(name);
    this.audio = this.part("audio");
    this.pages = []; // cards, page by page; undefined where they were not sent
    this.pictures = new Map(); // by the card's id: what is drawn, or why nothing is
    this.sounds = new Map();
    this.sections = [];
    this.chosen = [];
    this.wanted = {}; // to be asked for: at most one question is on its way
    this.ending = new AbortController();
    this.hovers = this.part(".hovers");
    this.hovers.checked = stored(HOVERS) !== "off";
    this.listen();
  }

  listen() {
    const pages = this.part(".pages");
    this.on(this.hovers, "change", () => store(HOVERS, this.hovers.checked ? "on" : "off"));
    this.on(pages, "click", (event) => this.click(event));
    this.on(pages, "change", (event) => this.pick(event.target));
    this.on(pages, "keydown", (event) => this.key(event));
    this.on(pages, "pointerover", (event) => this.hover(event));
    this.on(this.part(".more"), "click", () => this.more(true));
    this.on(this.part(".go"), "click", () => this.ask({ compare: this.chosen.map(({ neuron }) => neuron) }));
    this.on(this.part(".clear"), "click", () => this.choose([]));
    this.on(this.audio, "play", () => this.started());
    for (const type of ["pause", "ended"]) this.on(this.audio, type, () => this.showPlaying());
    this.on(this.audio, "error", () => this.lost());
    this.on(document, STARTED, (event) => event.detail !== this.audio && this.stop());
    this.on(document, "play", () => this.stop(), { capture: true }); // Streamlit's own players
    const scroller = scrollerOf(this.root);
    const within = (pixels) => ({ root: scroller, rootMargin: `${pixels}px 0px` });
    this.filling = new IntersectionObserver((seen) => seen.forEach((one) => this.fill(one)), within(NEAR));
    this.reaching = new IntersectionObserver((seen) => {
      this.reached = seen.at(-1).isIntersecting;
      this.more();
    }, within(SOON));
    this.reaching.observe(this.part(".end"));
    this.sizes = new ResizeObserver(() => this.redraw());
    this.sizes.observe(pages);
  }

  on(target, type, act, options = {}) {
    target.addEventListener(type, act, { ...options, signal: this.ending.signal });
  }

  close() {
    this.stop();
    this.ending.abort();
    for (const watcher of [this.filling, this.reaching, this.sizes]) watcher.disconnect();
    cancelAnimationFrame(this.frame);
  }

  // What Python says

  update(data) {
    if (data.query !== this.query) this.begin(data);
    this.total = data.total;
    this.waits = false;
    for (const [page, cards] of Object.entries(data.pages)) this.take(Number(page), cards);
    for (const [id, picture] of Object.entries(data.pictures)) {
      this.pictures.set(id, picture);
      this.draw(id);
    }
    for (const [id, address] of Object.entries(data.sounds)) this.sounds.set(id, address);
    if (this.plays && this.sounds.has(this.plays)) this.hear();
    this.showEnd();
    this.more();
  }

  begin(data) {
    this.stop();
    this.query = data.query;
    this.size = data.size;
    this.pages = [];
    this.pictures.clear();
    this.sounds.clear();
    this.wanted = {};
    for (const section of this.sections) this.filling.unobserve(section);
    this.sections = [];
    this.part(".pages").replaceChildren();
  }

  take(page, cards) {
    const isNew = !this.pages[page];
    this.pages[page] = cards;
    // In order, and without gaps: a page that came before the one above it waits for that.
    while (this.pages[this.sections.length]) {
      const section = element("div", "page");
      section.setAttribute("role", "presentation");
      this.sections.push(section);
      this.part(".pages").append(section);
      this.put(section);
      this.filling.observe(section);
    }
    if (isNew && page) this.part(".status").textContent = `${Math.min((page + 1) * this.size, this.total)} of ${this.total} shown`;
  }

  // One question at a time: sound first, then cards, then pictures.

  ask(more) {
    this.wanted = { ...this.wanted, ...more };
    if (this.waits || !Object.keys(this.wanted).length) return;
    const { sound, page, pictures, ...rest } = this.wanted;
    const asked = Object.keys(rest).length ? rest : sound ? { sound } : page !== undefined ? { page } : { pictures };
    for (const name of Object.keys(asked)) delete this.wanted[name];
    this.waits = true;
    this.send({ query: this.query, ...asked });
  }

  more(pressed = false) {
    const next = this.sections.length;
    const isMore = next * this.size < this.total && (pressed || this.reached || this.pages.length > next);
    const bare = this.bare();
    this.ask({ ...(isMore ? { page: next } : {}), ...(bare < 0 ? {} : { pictures: bare }) });
  }

  bare() {
    // The page whose pictures are to be asked for: one that is looked at, else one that is near; -1 where all are there.
    const lacks = (page) => this.pages[page].some((card) => card.drawn && !this.pictures.has(card.id));
    const near = this.sections.map((_, page) => page).filter((page) => this.sections[page].childElementCount && lacks(page));
    const isSeen = (page) => {
      const { top, bottom } = this.sections[page].getBoundingClientRect();
      return bottom > 0 && top < window.innerHeight;
    };
    return near.find(isSeen) ?? near[0] ?? -1;
  }

  // Cards

  put(section) {
    section.style.height = "";
    section.replaceChildren(...this.pages[this.sections.indexOf(section)].map((card) => this.card(card)));
    for (const { id } of this.pages[this.sections.indexOf(section)]) this.draw(id);
  }

  fill({ target, isIntersecting }) {
    if (isIntersecting && !target.childElementCount) this.put(target);
    if (isIntersecting) this.more();
    const keeps = isIntersecting || !target.childElementCount || target.contains(this.root.getRootNode().activeElement);
    if (keeps || target.querySelector(".playing")) return;
    target.style.height = `${target.offsetHeight}px`;
    target.replaceChildren();
  }

  card(card) {
    const made = element("article", "card");
    made.dataset.id = card.id;
    made.setAttribute("role", "listitem");
    const thumb = element("button", "thumb");
    thumb.type = "button";
    const mark = element("span", "icon");
    mark.append(icon("play"));
    thumb.append(document.createElement("canvas"), mark, element("span", "told"));
    const words = element("div", "words");
    const first = element("div", "first");
    const link = element("a", "", card.name);
    link.href = card.href;
    const pick = element("label", "pick");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.ariaLabel = `Compare ${card.name}`;
    box.checked = this.isChosen(card);
    pick.append(box, "compare");
    first.append(link, ...(card.star === null ? [] : [this.star(card.star)]), pick);
    words.append(first, element("div", "class", card.title), ...(card.said ? [element("div", "sentence", card.said)] : []));
    words.append(...card.lines.map((line) => element("div", "line", line)));
    made.append(thumb, words);
    made.classList.toggle("chosen", box.checked);
    return made;
  }

  star(name) {
    const made = element("span", "star");
    const mark = element("span", "", "★");
    mark.ariaLabel = "Starred";
    mark.setAttribute("role", "img");
    made.append(mark, ` ${name}`);
    made.title = name;
    return made;
  }

  of(id) {
    const [page, place] = id.split("-").map(Number);
    return this.pages[page]?.[place];
  }

  at(id) {
    return this.part(`.card[data-id="${id}"]`);
  }

  // Pictures

  draw(id) {
    const made = this.at(id);
    if (!made) return;
    const [card, picture] = [this.of(id), this.pictures.get(id)];
    const thumb = made.querySelector(".thumb");
    const why = card.problem || picture?.problem || "";
    thumb.classList.toggle("mute", !!why);
    thumb.querySelector(".told").textContent = why ? `no sound` : card.clip;
    thumb.ariaLabel = why ? `${card.name}: ${why}` : `Play ${card.clip} for ${card.name}, ${card.title}`;
    thumb.title = why;
    thumb.ariaDisabled = String(!!why);
    if (picture?.src && !thumb.querySelector("img")) {
      const image = element("img");
      image.alt = "";
      image.src = picture.src;
      thumb.prepend(image);
    }
    this.overlay(thumb.querySelector("canvas"), picture?.overlay, picture?.seconds);
  }

  overlay(canvas, overlay, seconds) {
    const width = (canvas.width = Math.round(canvas.clientWidth * window.devicePixelRatio));
    const height = (canvas.height = Math.round(canvas.clientHeight * window.devicePixelRatio));
    if (!overlay || !seconds) return;
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(this.root).getPropertyValue("--accent");
    const strength = Uint8Array.from(atob(overlay.strength), (letter) => letter.charCodeAt(0));
    const across = (column) => Math.round(((overlay.start + column * overlay.step) / seconds) * width);
    overlay.edges.slice(1).forEach((upper, band) => {
      const top = Math.round((1 - upper) * height);
      const tall = Math.round((1 - overlay.edges[band]) * height) - top;
      let most = 0; // of the columns that share a pixel
      for (let column = 0; column < overlay.columns; column += 1) {
        const wide = across(column + 1) - across(column);
        most = Math.max(most, strength[band * overlay.columns + column]);
        if (!wide) continue;
        pen.globalAlpha = (most / 255) * MOST_OPAQUE;
        pen.fillRect(across(column), top, wide, tall);
        most = 0;
      }
    });
  }

  redraw() {
    if (this.root.clientWidth === this.width) return;
    this.width = this.root.clientWidth;
    for (const made of this.root.querySelectorAll(".card")) this.draw(made.dataset.id);
  }

  // Sound

  click(event) {
    const made = event.target.closest(".card");
    if (!made) return;
    if (event.target.closest("a")) {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; // another tab
      event.preventDefault();
      this.ask({ open: made.dataset.id });
    } else if (event.target.closest(".thumb")) {
      clearTimeout(this.timer);
      const { id } = made.dataset;
      // What the mouse began by being there goes on when it is pressed.
      if (this.plays === id && !this.byHover) this.stop();
      else {
        this.byHover = false;
        if (this.plays !== id) this.play(id);
      }
    }
  }

  hover(event) {
    if (event.pointerType !== "mouse" || !this.hovers.checked) return;
    const id = event.target.closest(".thumb") ? event.target.closest(".card").dataset.id : null;
    if (id === this.over) return;
    this.over = id;
    clearTimeout(this.timer);
    if (this.byHover) this.stop();
    const isFree = !this.plays || this.byHover;
    if (id && isFree) {
      this.timer = setTimeout(() => {
        this.byHover = true;
        this.play(id);
      }, HOVER_MS);
    }
    if (id) {
      this.on(this.at(id).querySelector(".thumb"), "pointerleave", () => {
        this.over = null;
        clearTimeout(this.timer);
        if (this.byHover) this.stop();
      }, { once: true });
    }
  }

  play(id) {
    if (this.of(id).problem || this.pictures.get(id)?.problem) return;
    const byHover = this.byHover;
    this.stop();
    Object.assign(this, { plays: id, byHover });
    if (this.sounds.has(id)) this.hear();
    else this.ask({ sound: id });
    this.showPlaying();
  }

  hear() {
    const address = this.sounds.get(this.plays);
    if (this.audio.getAttribute("src") === address && !this.audio.paused) return;
    this.audio.src = address;
    this.audio.play().catch((error) => {
      if (error.name === "AbortError") return;
      this.part(".status").textContent = "The browser plays sound once you have clicked on the page.";
      this.stop();
    });
  }

  lost() {
    // The server keeps a sound while the page that asked stands as it was: it is asked for anew, once.
    const id = this.plays;
    if (id && this.sounds.delete(id)) this.ask({ sound: id });
  }

  started() {
    document.dispatchEvent(new CustomEvent(STARTED, { detail: this.audio }));
    for (const other of document.querySelectorAll("audio, video")) other.pause();
    this.showPlaying();
  }

  stop() {
    this.plays = null;
    this.byHover = false;
    delete this.wanted.sound;
    this.audio.pause();
    this.showPlaying();
  }

  showPlaying() {
    if (this.audio.ended) this.plays = null;
    for (const made of this.root.querySelectorAll(".card")) {
      const now = made.dataset.id === this.plays;
      if (made.classList.contains("playing") === now) continue;
      made.classList.toggle("playing", now);
      made.querySelector(".icon").replaceChildren(icon(now ? "pause" : "play"));
      if (!now) made.querySelector(".head")?.remove();
    }
    cancelAnimationFrame(this.frame);
    if (this.plays) this.frame = requestAnimationFrame(() => this.follow());
  }

  follow() {
    const thumb = this.plays && this.at(this.plays)?.querySelector(".thumb");
    const seconds = this.pictures.get(this.plays)?.seconds;
    if (!thumb) return;
    if (seconds && !this.audio.paused) {
      const head = thumb.querySelector(".head") ?? thumb.appendChild(element("span", "head"));
      head.style.left = `${Math.min(this.audio.currentTime / seconds, 1) * 100}%`;
    }
    this.frame = requestAnimationFrame(() => this.follow());
  }

  // Keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !event.target.closest(".thumb")) return;
    const columns = getComputedStyle(this.sections[0]).gridTemplateColumns.split(" ").length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (!by) return; // space and Enter press the button, as anywhere
    event.preventDefault();
    const [page, place] = event.target.closest(".card").dataset.id.split("-").map(Number);
    const at = page * this.size + place + by;
    const next = this.at(`${Math.floor(at / this.size)}-${at % this.size}`)?.querySelector(".thumb");
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
  }

  // Two of them

  isChosen(card) {
    return this.chosen.some(({ neuron }) => neuron.join() === card.neuron.join());
  }

  pick(box) {
    if (box.type !== "checkbox") return;
    const card = this.of(box.closest(".card").dataset.id);
    const others = this.chosen.filter(({ neuron }) => neuron.join() !== card.neuron.join());
    this.choose(box.checked ? [...others, card].slice(-2) : others);
  }

  choose(cards) {
    this.chosen = cards;
    for (const made of this.root.querySelectorAll(".card")) {
      const now = this.isChosen(this.of(made.dataset.id));
      made.classList.toggle("chosen", now);
      made.querySelector("input").checked = now;
    }
    const names = cards.map(({ neuron, name }) => `${name} (${neuron[0]})`);
    this.part(".pair").hidden = !names.length;
    this.part(".said").textContent = names.length > 1 ? names.join(" beside ") : `${names[0]}, and a second one of your choice`;
    this.part(".go").disabled = names.length < 2;
  }

  showEnd() {
    const shown = Math.min(this.sections.length * this.size, this.total);
    this.part(".end").hidden = shown >= this.total;
    this.part(".more").textContent = `Show ${Math.min(this.size, this.total - shown)} more`;
  }
}

function scrollerOf(node) {
  for (let at = node; at; at = at.parentNode ?? at.host) {
    if (at instanceof Element && ["auto", "scroll"].includes(getComputedStyle(at).overflowY)) return at;
  }
  return null;
}

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // where a browser keeps nothing
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it is as it is, until the page is left
  }
}
