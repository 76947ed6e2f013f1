// The search's part in the browser. Names are written as text, never as HTML; every result is an ordinary link.

const PAUSE = 90; // milliseconds without a key after which what was typed is asked
const boxes = new WeakMap(); // by the element they fill

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  if (!boxes.has(parentElement)) boxes.set(parentElement, new Box(parentElement.querySelector(".box")));
  const box = boxes.get(parentElement);
  box.tell = setTriggerValue;
  box.update(data);
  return () => {
    box.ending.abort();
    clearTimeout(box.waiting);
    boxes.delete(parentElement);
  };
}

class Box {
  constructor(root) {
    this.root = root;
    this.input = root.querySelector("input");
    this.found = root.querySelector(".found");
    this.none = root.querySelector(".none");
    this.links = [];
    this.active = -1;
    this.shown = ""; // the question whose answer is shown
    this.hurry = false; // Enter was pressed before the answer came
    this.ending = new AbortController();
    this.on(document, "keydown", (event) => this.summon(event));
    this.on(document, "pointerdown", (event) => event.composedPath().includes(this.root) || this.close());
    this.on(this.input, "input", () => this.typed());
    this.on(this.input, "focus", () => this.open());
    this.on(this.input, "keydown", (event) => this.key(event));
    this.on(this.root, "focusout", (event) => this.root.contains(event.relatedTarget) || this.close());
    this.on(this.found, "pointerdown", (event) => event.preventDefault()); // the box keeps the keys
    this.on(this.found, "click", (event) => this.click(event));
  }

  on(target, type, act) {
    target.addEventListener(type, act, { signal: this.ending.signal });
  }

  get asked() {
    return this.input.value.trim();
  }

  summon(event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const at = event.composedPath()[0];
    if (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) return;
    event.preventDefault();
    this.input.focus();
    this.input.select();
  }

  typed() {
    clearTimeout(this.waiting);
    this.hurry = false;
    if (!this.asked) return this.clear();
    this.waiting = setTimeout(() => this.ask(), PAUSE);
  }

  ask() {
    clearTimeout(this.waiting);
    this.tell("asked", this.asked);
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      this.open();
      if (this.links.length) this.mark((this.active + step + this.links.length) % this.links.length);
    } else if (event.key === "Enter" && this.asked) {
      event.preventDefault();
      if (this.shown === this.asked) this.enter(event.ctrlKey || event.metaKey);
      else {
        this.hurry = true;
        this.ask();
      }
    } else if (event.key === "Escape") {
      if (this.found.hidden && this.none.hidden) this.input.blur();
      this.close();
    } else return;
    event.stopPropagation();
  }

  enter(apart) {
    const link = this.links[Math.max(this.active, 0)];
    if (!link) return;
    if (apart) window.open(link.href, "_blank", "noopener");
    else this.go(link.item);
  }

  click(event) {
    const link = event.target.closest("a");
    // A click that asks for a tab or window of its own is the browser's.
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.go(link.item);
  }

  go({ page, state }) {
    this.input.value = "";
    this.clear();
    this.input.blur();
    this.tell("go", { page, state });
  }

  // What Python says

  update({ asked, groups }) {
    if (!asked || asked !== this.asked || asked === this.shown) return; // late, or of a page that was made anew
    this.shown = asked;
    this.fill(groups);
    if (this.hurry) {
      this.hurry = false;
      this.enter(false);
    }
  }

  fill(groups) {
    this.links = [];
    this.found.replaceChildren(...groups.map((group, place) => this.group(group, place)));
    this.none.textContent = groups.length ? "" : `Nothing here is called “${this.shown}”.`;
    this.active = -1;
    this.open();
    if (this.links.length) this.mark(0);
  }

  group({ kind, items, more }, place) {
    const made = element("div", "group");
    const title = element("div", "kind", kind);
    Object.assign(title, { id: `kind-${place}` });
    made.setAttribute("role", "group");
    made.setAttribute("aria-labelledby", title.id);
    made.append(title, ...items.map((item) => this.link(item)));
    if (more) made.append(element("div", "more", `${more} more: type on`));
    return made;
  }

  link(item) {
    const made = element("a", "option");
    Object.assign(made, { id: `option-${this.links.length}`, href: item.url, tabIndex: -1, item });
    made.setAttribute("role", "option");
    made.append(element("span", "name", item.name), element("span", "where", item.where), element("span", "opens", item.opens));
    this.links.push(made);
    return made;
  }

  mark(place) {
    this.active = place;
    this.links.forEach((link, each) => link.setAttribute("aria-selected", String(each === place)));
    this.links[place].scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", this.links[place].id);
  }

  open() {
    const has = Boolean(this.asked) && this.shown === this.asked;
    this.found.hidden = !has || !this.links.length;
    this.none.hidden = !has || Boolean(this.links.length);
    this.input.setAttribute("aria-expanded", String(!this.found.hidden));
  }

  close() {
    this.found.hidden = this.none.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  clear() {
    this.shown = "";
    this.links = [];
    this.found.replaceChildren();
    this.close();
  }
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
