// Completes names of views and columns in Streamlit's own text area, where they are typed.

const MOST = 30;

// The editor is looked for when something happens in it: the page may put another in its place at any time.
export default function ({ data, parentElement }) {
  const ending = new AbortController();
  const completion = new Completion(parentElement, data);
  const on = (type, act) =>
    document.addEventListener(
      type,
      (event) => {
        if (!event.target.matches?.(`.st-key-${data.editor} textarea`)) return;
        completion.area = event.target;
        act(event);
      },
      { signal: ending.signal, capture: true },
    );
  on("focus", () => completion.begin());
  on("input", () => completion.offer());
  on("keydown", (event) => completion.key(event));
  on("scroll", () => completion.isOpen && completion.put()); // typing scrolls too
  for (const type of ["blur", "click"]) on(type, () => completion.close());
  return () => {
    ending.abort();
    completion.close();
  };
}

class Completion {
  constructor(parent, { views, keywords }) {
    Object.assign(this, { views, keywords, names: [], chosen: 0 });
    this.box = parent.querySelector(".box");
    this.list = parent.querySelector("ul");
    this.told = parent.querySelector(".told");
  }

  begin() {
    this.area.setAttribute("aria-autocomplete", "list");
    this.area.spellcheck = false;
  }

  get isOpen() {
    return !this.box.hidden;
  }

  offer(isAsked = false) {
    const before = this.area.value.slice(0, this.area.selectionStart);
    const [, owner, word] = before.match(/(?:(\w+)\.)?(\w*)$/);
    const inText = (before.replace(/--[^\n]*/g, "").match(/'/g) ?? []).length % 2 || /--[^\n]*$/.test(before);
    if (inText || (!word && !owner && !isAsked)) return this.close();
    const names = this.fitting(word, owner, before.slice(0, before.length - word.length));
    if (!names.length || (names.length === 1 && names[0].name === word)) return this.close();
    Object.assign(this, { names, word, chosen: 0 });
    this.show();
    return undefined;
  }

  // Columns of the views that the statement names come first, and views where one is to come.
  fitting(word, owner, before) {
    const named = Object.keys(this.views).filter((view) => new RegExp(`\\b${view}\\b`, "i").test(this.area.value));
    const columnsOf = (views) => views.flatMap((view) => this.views[view].map((name) => ({ name, of: view })));
    const views = Object.keys(this.views).map((name) => ({ name, of: "view" }));
    const words = this.keywords.map((name) => ({ name, of: "" }));
    const of = owner && (this.views[owner] ? owner : this.named(owner));
    const all = owner
      ? columnsOf(of ? [of] : named)
      : /\b(from|join)\s+$/i.test(before)
        ? views
        : [...columnsOf(named), ...columnsOf(Object.keys(this.views)), ...views, ...words];
    const seen = new Set();
    const small = word.toLowerCase();
    const once = all.filter(({ name }) => !seen.has(name) && seen.add(name));
    const begins = once.filter(({ name }) => name.toLowerCase().startsWith(small));
    const holds = small.length > 1 ? once.filter(({ name }) => name.toLowerCase().indexOf(small) > 0) : [];
    return [...begins, ...holds].slice(0, MOST);
  }

  // The view that a short name stands for: "task_coverage AS t", "task_coverage t".
  named(alias) {
    return Object.keys(this.views).find((view) =>
      new RegExp(`\\b${view}\\s+(?:as\\s+)?${alias}\\b`, "i").test(this.area.value),
    );
  }

  show() {
    this.list.replaceChildren(
      ...this.names.map(({ name, of }, place) => {
        const item = document.createElement("li");
        const origin = document.createElement("span");
        origin.textContent = of;
        item.append(name, origin);
        item.role = "option";
        item.addEventListener("pointerdown", (event) => {
          event.preventDefault(); // the editor keeps the caret
          this.chosen = place;
          this.take();
        });
        return item;
      }),
    );
    this.box.hidden = false;
    this.put();
    this.mark();
  }

  put() {
    const style = getComputedStyle(this.area);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${style.fontSize} ${style.fontFamily}`;
    const before = this.area.value.slice(0, this.area.selectionStart - this.word.length).split("\n");
    const place = this.area.getBoundingClientRect();
    const line = parseFloat(style.lineHeight) || 1.5 * parseFloat(style.fontSize);
    const left = place.left + parseFloat(style.paddingLeft) + pen.measureText(before.at(-1)).width - this.area.scrollLeft;
    const under = place.top + parseFloat(style.paddingTop) + before.length * line - this.area.scrollTop;
    this.box.style.left = `${Math.max(4, Math.min(left, innerWidth - this.box.offsetWidth - 4))}px`;
    const isLow = under + this.box.offsetHeight > innerHeight;
    this.box.style.top = `${isLow ? Math.max(4, under - line - this.box.offsetHeight) : under}px`;
  }

  mark() {
    const items = [...this.list.children];
    items.forEach((item, place) => (item.ariaSelected = String(place === this.chosen)));
    items[this.chosen].scrollIntoView({ block: "nearest" });
    this.told.textContent = `${this.names[this.chosen].name}, ${this.chosen + 1} of ${items.length}`;
  }

  key(event) {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      this.offer(true);
      return;
    }
    if (!this.isOpen) return;
    if (event.ctrlKey || event.metaKey || event.altKey) {
      this.close();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      this.chosen = (this.chosen + step + this.names.length) % this.names.length;
      this.mark();
    } else if (event.key === "Enter" || event.key === "Tab") this.take();
    else if (event.key === "Escape") this.close();
    else {
      if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") this.close();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  take() {
    const { name } = this.names[this.chosen];
    const end = this.area.selectionStart;
    this.close();
    this.area.focus();
    this.area.setSelectionRange(end - this.word.length, end);
    document.execCommand("insertText", false, name); // as if typed: it can be undone, and Streamlit hears of it
    this.close();
  }

  close() {
    this.box.hidden = true;
    this.told.textContent = "";
  }
}
