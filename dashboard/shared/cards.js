// Cards of neurons. What a card holds is written as text, never as HTML; its title is an ordinary link.

const STARTED = "atlas-player-started"; // as the player tells it: one is heard at a time
const ICONS = { play: "M7 4.5v15l12.5-7.5z", pause: "M6.5 5h4v14h-4zM13.5 5h4v14h-4z" };
const decks = new WeakMap(); // by the element they fill

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  if (!decks.has(parentElement)) decks.set(parentElement, new Deck(parentElement));
  const deck = decks.get(parentElement);
  deck.tell = setTriggerValue;
  deck.update(data.cards);
  return () => {
    deck.close();
    decks.delete(parentElement);
  };
}

class Deck {
  constructor(root) {
    this.place = root.querySelector(".cards");
    this.audio = root.querySelector("audio");
    this.made = new Map(); // cards by what they show
    this.sounding = null;
    this.ending = new AbortController();
    this.on(this.place, "click", (event) => this.click(event));
    this.on(this.audio, "play", () => this.started());
    for (const type of ["pause", "ended"]) this.on(this.audio, type, () => this.showPlaying());
    this.on(this.audio, "error", () => this.failed());
    this.on(document, STARTED, (event) => event.detail !== this.audio && this.audio.pause());
    this.on(document, "play", () => this.audio.pause(), { capture: true });
  }

  on(target, type, act, options = {}) {
    target.addEventListener(type, act, { ...options, signal: this.ending.signal });
  }

  close() {
    this.audio.pause();
    this.ending.abort();
    cancelAnimationFrame(this.frame);
  }

  update(cards) {
    const kept = new Map();
    cards.forEach((card, place) => {
      const name = JSON.stringify([place, card]);
      kept.set(name, this.made.get(name) ?? draw(card));
    });
    const gone = [...this.made.values()].filter((one) => ![...kept.values()].includes(one));
    if (gone.includes(this.sounding)) {
      this.audio.pause();
      this.sounding = null;
    }
    this.made = kept;
    const wanted = [...kept.values()];
    // What stays in its place keeps the focus.
    if (wanted.length !== this.place.children.length || wanted.some((one, at) => one !== this.place.children[at])) {
      this.place.replaceChildren(...wanted);
    }
    const next = cards.findIndex((card) => !card.picture && !card.problem);
    if (next >= 0) this.tell("wanted", next);
  }

  click(event) {
    const link = event.target.closest("a");
    const button = event.target.closest("button");
    if (button) this.toggle(button.closest(".card"));
    // A click that asks for a tab or window of its own is the browser's.
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const { page, state } = link.closest(".card").shown;
    this.tell("go", { page, state });
  }

  toggle(card) {
    if (card === this.sounding && !this.audio.paused) return this.audio.pause();
    if (card !== this.sounding) {
      this.audio.pause();
      this.sounding = card;
      this.audio.src = card.shown.sound;
    }
    this.audio.play().catch((error) => error.name === "AbortError" || this.showPlaying());
  }

  started() {
    document.dispatchEvent(new CustomEvent(STARTED, { detail: this.audio }));
    for (const other of document.querySelectorAll("audio, video")) other.pause();
    this.showPlaying();
  }

  failed() {
    if (this.sounding) this.sounding.querySelector(".heard").textContent = "The sound could not be loaded.";
  }

  showPlaying() {
    for (const card of this.place.children) {
      const plays = card === this.sounding && !this.audio.paused;
      card.classList.toggle("sounds", plays);
      const button = card.querySelector(".play");
      button.querySelector(".icon")?.replaceChildren(icon(plays ? "pause" : "play"));
      button.ariaLabel = `${plays ? "Pause" : "Play"} ${card.shown.heard}, ${card.shown.title}`;
      button.querySelector(".head")?.toggleAttribute("hidden", card !== this.sounding || this.audio.ended);
    }
    cancelAnimationFrame(this.frame);
    this.follow();
  }

  follow() {
    const head = this.sounding?.querySelector(".head");
    if (!head) return;
    head.style.left = `${Math.min(this.audio.currentTime / this.sounding.shown.seconds, 1) * 100}%`;
    if (!this.audio.paused) this.frame = requestAnimationFrame(() => this.follow());
  }
}

function draw(card) {
  const made = element("article", "card");
  made.shown = card;
  const play = element("button", "play");
  play.type = "button";
  if (card.picture) {
    const image = element("img");
    Object.assign(image, { src: card.picture, alt: "", draggable: false });
    const head = element("span", "head");
    head.hidden = true;
    const knob = element("span", "icon");
    knob.append(icon("play"));
    play.append(image, head, knob);
    play.ariaLabel = `Play ${card.heard}, ${card.title}`;
  } else {
    play.disabled = true;
    play.classList.toggle("waiting", !card.problem);
    play.append(element("span", "notice", card.problem || "Drawing…"));
  }
  const about = element("div", "about");
  const top = element("div", "top");
  const title = element("a", "title", card.title);
  title.href = card.url;
  top.append(title, element("span", "heard", card.heard));
  const facts = element("dl");
  for (const [name, value] of card.facts) facts.append(element("dt", "", name), element("dd", "", value));
  about.append(top, element("div", "caption", card.caption), facts);
  made.append(play, about);
  return made;
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(space, "svg");
  made.setAttribute("viewBox", "0 0 24 24");
  made.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  made.append(path);
  return made;
}
