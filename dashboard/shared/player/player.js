// The player's part in the browser. What a track holds is written as text or drawn, never as HTML.

const TIME = "atlas-player-time"; // seconds, told to whatever goes along with the sound
const MOST_OPAQUE = 0.7; // what it answers to stays visible below
const LANE_PIXELS = 34;
const LABEL_PIXELS = 22;
let begun = 0; // when the sound that last began unasked was asked for in Python
const players = new WeakMap(); // by the element they fill
const decoded = new WeakMap(); // strengths, by overlay

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  if (!players.has(parentElement)) players.set(parentElement, new Player(parentElement.querySelector(".player")));
  const player = players.get(parentElement);
  player.ask = (id) => setTriggerValue("wanted", id);
  player.update(data);
  return () => {
    player.close();
    players.delete(parentElement);
  };
}

class Player {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(name);
    this.audio = this.part("audio");
    this.picture = this.part(".picture");
    this.canvas = this.part("canvas");
    this.list = this.part(".list");
    this.current = null; // the track that is shown
    this.wishes = false; // to be heard as soon as its sound is there
    this.shows = true; // the overlay
    this.ending = new AbortController();
    for (const name of ["previous", "next"]) this.part(`.${name}`).replaceChildren(icon(name));
    this.listen();
  }

  listen() {
    this.press(".play", () => this.toggle());
    this.press(".previous", () => this.step(-1));
    this.press(".next", () => this.step(1));
    this.press(".switch", () => this.toggleOverlay());
    this.on(this.root, "keydown", (event) => this.key(event));
    this.on(this.list, "click", (event) => {
      const track = this.tracks[[...this.list.children].indexOf(event.target.closest(".option"))];
      if (track?.id === this.current.id) this.toggle();
      else if (track && !track.problem) this.choose(track, true);
    });
    this.on(this.picture, "pointerdown", (event) => {
      if (event.button || !this.current.sound) return;
      this.picture.setPointerCapture(event.pointerId);
      this.seek(this.at(event) * this.current.seconds);
    });
    this.on(this.picture, "pointermove", (event) => this.hover(event));
    this.on(this.picture, "pointerleave", () => (this.part(".readout").hidden = true));
    this.on(this.audio, "play", () => this.started());
    for (const type of ["pause", "ended"]) this.on(this.audio, type, () => this.paused());
    this.on(this.audio, "seeked", () => this.showTime());
    this.on(this.audio, "error", () => (this.part(".notice").textContent = "The sound could not be loaded."));
    this.on(document, STARTED, (event) => event.detail !== this.audio && this.stop());
    // Media events do not bubble and do not leave a shadow root: this hears Streamlit's own players only.
    this.on(document, "play", () => this.stop(), { capture: true });
    this.watcher = new ResizeObserver(() => this.current && this.draw());
    this.watcher.observe(this.picture);
  }

  on(target, type, act, options = {}) {
    target.addEventListener(type, act, { ...options, signal: this.ending.signal });
  }

  press(name, act) {
    this.on(this.part(name), "click", (event) => {
      act();
      // After the mouse the keys are the player's; who tabs to a button keeps the button.
      if (event.detail) this.picture.focus({ preventScroll: true });
    });
  }

  close() {
    this.stop();
    this.ending.abort();
    this.watcher.disconnect();
    cancelAnimationFrame(this.frame);
  }

  // What Python says

  update(data) {
    this.root.setAttribute("aria-label", data.label);
    this.tracks = data.tracks;
    const same = this.tracks.find((track) => track.id === this.current?.id);
    const begins = data.play > begun;
    begun = Math.max(begun, data.play);
    // A track that plays goes on in another list too; one that is silent gives way to what is selected there.
    const names = String(this.tracks.map((track) => track.id));
    const stays = same && this.selected === data.selected && (this.names === names || this.wishes);
    Object.assign(this, { selected: data.selected, names });
    this.fillList();
    this.choose(stays ? same : this.tracks[data.selected], begins);
  }

  fillList() {
    const rows = this.tracks.map(({ title, caption, problem }) => [title, problem || caption, problem !== ""]);
    const listed = JSON.stringify(rows);
    if (listed === this.listed) return;
    this.listed = listed;
    this.root.classList.toggle("several", rows.length > 1);
    for (const name of [".side", ".previous", ".next"]) this.part(name).hidden = rows.length < 2;
    this.list.replaceChildren(
      ...rows.map(([title, caption, problem], place) => {
        const option = element("div", "option");
        Object.assign(option, { id: `option-${place}`, role: "option", ariaDisabled: String(problem) });
        const names = element("div");
        names.append(element("span", "title", title), element("span", "caption", caption));
        option.append(icon("play"), names);
        return option;
      }),
    );
  }

  // Which track

  choose(track, play = false) {
    const other = this.current?.id !== track.id;
    if (other) {
      this.stop();
      this.part(".readout").hidden = true;
    }
    const { sound } = track;
    this.current = track;
    this.wishes ||= play;
    if (this.audio.getAttribute("src") !== (sound ?? null)) {
      if (sound) this.audio.src = sound;
      else this.audio.removeAttribute("src");
    } else if (other && sound) this.audio.currentTime = 0;
    if (!sound && !track.problem) this.ask(track.id);
    this.describe(track);
    if (this.drawn !== JSON.stringify(track)) this.draw();
    this.drawn = JSON.stringify(track);
    this.mark();
    if (this.wishes && sound) this.play();
    this.showPlaying();
  }

  step(by) {
    const playable = this.tracks.filter((track) => !track.problem || track.id === this.current.id);
    const next = playable[playable.findIndex((track) => track.id === this.current.id) + by];
    if (next) this.choose(next, this.wishes);
  }

  describe(track) {
    const { overlay } = track;
    const ready = !!track.sound;
    this.part(".heading .title").textContent = track.title;
    this.part(".heading .caption").textContent = [track.caption, track.cut].filter(Boolean).join(" · ");
    const image = this.part("img");
    image.hidden = !ready;
    if (ready && image.getAttribute("src") !== track.picture) image.src = track.picture;
    this.picture.classList.toggle("waiting", !ready && !track.problem);
    this.root.classList.toggle("silent", !!track.problem);
    this.picture.ariaLabel = `Position in ${track.title}`;
    this.picture.ariaDisabled = String(!ready);
    this.picture.ariaValueMax = ready ? track.seconds.toFixed(2) : "0";
    this.part(".notice").textContent = track.problem || (ready ? "" : "Loading …");
    this.part(".play").disabled = !!track.problem;
    this.part(".playhead").hidden = !ready;
    this.part(".activation").hidden = !overlay;
    if (overlay) {
      this.part(".switch .label").textContent = overlay.label;
      this.part(".scale .peak").textContent = brief(overlay.peak);
    }
  }

  mark() {
    const place = this.tracks.indexOf(this.current);
    [...this.list.children].forEach((option, index) => (option.ariaSelected = String(index === place)));
    const { offsetTop: top, offsetHeight: height } = this.list.children[place];
    this.list.setAttribute("aria-activedescendant", `option-${place}`);
    const { scrollTop, clientHeight } = this.list; // scrolled by hand: scrollIntoView would move the page as well
    this.list.scrollTop = Math.max(Math.min(scrollTop, top), top + height - clientHeight);
    const can = (by) => this.tracks.some((track, index) => !track.problem && (index - place) * by > 0);
    this.part(".previous").disabled = !can(-1);
    this.part(".next").disabled = !can(1);
  }

  // Sound

  toggle() {
    if (this.wishes) this.stop();
    else if (this.current.sound) this.play();
    else this.wishes = !this.current.problem;
    this.showPlaying();
  }

  play() {
    this.wishes = true;
    this.audio.play().catch((error) => {
      if (error.name !== "AbortError") this.wishes = false; // the browser wants a click first
      this.showPlaying();
    });
  }

  stop() {
    this.wishes = false;
    this.audio.pause();
  }

  started() {
    document.dispatchEvent(new CustomEvent(STARTED, { detail: this.audio }));
    for (const other of document.querySelectorAll("audio, video")) other.pause();
    this.showPlaying();
  }

  paused() {
    if (this.audio.paused && this.current.sound) this.wishes = false; // by us, by its end or by the browser's own keys
    this.showPlaying();
  }

  seek(seconds) {
    if (!this.current.sound) return;
    this.audio.currentTime = Math.min(Math.max(seconds, 0), this.current.seconds);
    this.showTime();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = Math.min(1, this.current.seconds / 10);
    const acts = {
      ArrowLeft: () => this.seek(this.audio.currentTime - step),
      ArrowRight: () => this.seek(this.audio.currentTime + step),
      Home: () => this.seek(0),
      End: () => this.seek(this.current.seconds),
      ArrowUp: () => this.step(-1),
      ArrowDown: () => this.step(1),
      p: () => this.step(-1),
      n: () => this.step(1),
      o: () => this.toggleOverlay(),
      " ": () => this.toggle(),
      Enter: () => this.toggle(),
    };
    const act = acts[event.key];
    if (!act || ([" ", "Enter"].includes(event.key) && event.target.closest("button"))) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  showPlaying() {
    const button = this.part(".play");
    button.ariaLabel = this.wishes ? "Pause" : "Play";
    button.replaceChildren(icon(this.wishes ? "pause" : "play"));
    for (const option of this.list.children) {
      option.firstChild.replaceWith(icon(this.wishes && option.ariaSelected === "true" ? "pause" : "play"));
    }
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.follow());
    this.showTime();
  }

  follow() {
    this.showTime();
    if (!this.audio.paused) this.frame = requestAnimationFrame(() => this.follow());
  }

  showTime() {
    const { seconds, sound } = this.current;
    const now = sound ? Math.min(this.audio.currentTime, seconds) : 0;
    const clock = sound ? `${minutes(now)} / ${minutes(seconds)}` : "";
    if (this.part(".clock").textContent !== clock) {
      this.part(".clock").textContent = clock;
      this.picture.ariaValueNow = now.toFixed(2);
      this.picture.ariaValueText = sound ? `${now.toFixed(1)} of ${seconds.toFixed(1)} seconds` : "no sound yet";
    }
    const across = sound ? (now / seconds) * this.picture.clientWidth : 0;
    for (const head of this.root.querySelectorAll(".playhead, .lane .at")) {
      head.style.transform = `translateX(${across.toFixed(2)}px)`;
    }
    document.dispatchEvent(new CustomEvent(TIME, { detail: now }));
  }

  // Picture

  at(event) {
    const box = this.picture.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  }

  hover(event) {
    const { sound, seconds, overlay, rows, top_hz: top } = this.current;
    if (!sound) return;
    const across = this.at(event);
    if (this.picture.hasPointerCapture(event.pointerId)) this.seek(across * seconds);
    if (event.pointerType === "touch") return;
    const up = 1 - (event.clientY - this.picture.getBoundingClientRect().top) / this.picture.clientHeight;
    const mel = ((up * rows + 0.5) / (rows + 1)) * Math.log10(1 + top / 700);
    const said = [`${(across * seconds).toFixed(2)} s`, `${brief((700 * (10 ** mel - 1)) / 1000)} kHz`];
    const strength = overlay && this.shows ? strengthAt(overlay, across * seconds, up) : null;
    if (strength !== null) said.push(`activation ${brief((strength / 255) * overlay.peak)}`);
    this.part(".readout").textContent = said.join(" · ");
    this.part(".readout").hidden = false;
  }

  toggleOverlay() {
    this.shows = !this.shows;
    this.draw();
  }

  draw() {
    this.drawAxes();
    this.drawLabels();
    this.drawLanes();
    this.showTime();
    this.drawOverlay();
  }

  drawLabels() {
    const { seconds } = this.current;
    const labels = (this.current.labels ?? []).filter(({ start }) => start < seconds);
    const box = this.part(".labels");
    box.hidden = !labels.length;
    if (box.hidden) return;
    box.style.height = `${LABEL_PIXELS * (1 + Math.max(...labels.map(({ row }) => row)))}px`;
    box.ariaLabel = `Labels: ${labels.map(({ text, start }) => `${text} at ${start.toFixed(2)} s`).join(", ")}`;
    box.replaceChildren(
      ...labels.map(({ text, start, end, row, own }) => {
        const label = element("span", own ? "own" : "", text);
        label.title = `${text}, ${start.toFixed(2)} to ${end.toFixed(2)} s`;
        label.style.left = `${(start / seconds) * 100}%`;
        label.style.width = `${((Math.min(end, seconds) - start) / seconds) * 100}%`;
        label.style.top = `${row * LABEL_PIXELS}px`;
        return label;
      }),
    );
  }

  drawLanes() {
    const { lanes = [], seconds } = this.current;
    this.part(".lanes").replaceChildren(
      ...lanes.map(({ label, colour, overlay }) => {
        const lane = element("div", "lane");
        const told = overlay ? `0 to ${brief(overlay.peak)}` : "not stored for this clip";
        const strip = element("div", "strip");
        const canvas = element("canvas");
        strip.append(canvas, element("div", "at"));
        lane.append(element("div", "label", `${label}: ${told}`), strip);
        if (overlay) drawLane(canvas, overlay, seconds, colour, this.picture.clientWidth);
        lane.querySelector(".at").hidden = !seconds;
        return lane;
      }),
    );
  }

  drawOverlay() {
    const { overlay, seconds } = this.current;
    const width = (this.canvas.width = Math.round(this.picture.clientWidth * window.devicePixelRatio));
    const height = (this.canvas.height = Math.round(this.picture.clientHeight * window.devicePixelRatio));
    this.part(".switch").ariaChecked = String(this.shows);
    this.part(".activation").classList.toggle("off", !this.shows);
    if (!overlay || !this.shows || !seconds) return;
    const pen = this.canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(this.root).getPropertyValue("--accent");
    const across = (time) => Math.round((time / seconds) * width);
    const strength = bytes(overlay);
    overlay.edges.slice(1).forEach((upper, band) => {
      const top = Math.round((1 - upper) * height);
      const tall = Math.round((1 - overlay.edges[band]) * height) - top;
      let most = 0; // of the columns that share a pixel
      for (let column = 0; column < overlay.columns; column += 1) {
        const left = across(overlay.start + column * overlay.step);
        const wide = across(overlay.start + (column + 1) * overlay.step) - left;
        most = Math.max(most, strength[band * overlay.columns + column]);
        if (!wide) continue;
        pen.globalAlpha = (most / 255) * MOST_OPAQUE;
        pen.fillRect(left, top, wide, tall);
        most = 0;
      }
    });
  }

  drawAxes() {
    const { marks = [], seconds } = this.current;
    this.part(".hertz").replaceChildren(
      ...marks.map(({ text, at }) => {
        const mark = element("span", at > 0.97 ? "top" : "", text);
        mark.style.bottom = `${at * 100}%`;
        return mark;
      }),
    );
    this.part(".time").replaceChildren(...(seconds ? timeMarks(seconds, this.picture.clientWidth) : []));
  }
}

function drawLane(canvas, overlay, seconds, colour, wide) {
  canvas.width = Math.round(wide * window.devicePixelRatio);
  canvas.height = Math.round(LANE_PIXELS * window.devicePixelRatio);
  const pen = canvas.getContext("2d");
  pen.fillStyle = colour;
  const across = (column) => Math.round(((overlay.start + column * overlay.step) / seconds) * canvas.width);
  bytes(overlay).forEach((strength, column) => {
    const tall = (strength / 255) * canvas.height;
    pen.fillRect(across(column), canvas.height - tall, across(column + 1) - across(column), tall);
  });
}

function timeMarks(seconds, width) {
  const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20].find((each) => seconds / each <= Math.max(2, width / 80)) ?? 30;
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  const count = Math.floor(seconds / step + 1e-6);
  return Array.from({ length: count + 1 }, (_, index) => {
    const at = (index * step) / seconds;
    const mark = element("span", index ? "" : "first", index ? (index * step).toFixed(digits) : "0 s");
    if (at * width > width - 14) mark.className = "last";
    mark.style.left = `${at * 100}%`;
    return mark;
  });
}

function strengthAt(overlay, time, up) {
  const column = Math.floor((time - overlay.start) / overlay.step);
  const band = overlay.edges.slice(1).findIndex((upper, index) => up >= overlay.edges[index] && up <= upper);
  if (band < 0 || column < 0 || column >= overlay.columns) return null;
  return bytes(overlay)[band * overlay.columns + column];
}

function bytes(overlay) {
  if (!decoded.has(overlay)) {
    decoded.set(overlay, Uint8Array.from(atob(overlay.strength), (letter) => letter.charCodeAt(0)));
  }
  return decoded.get(overlay);
}

function brief(number) {
  return number.toLocaleString("en", { maximumSignificantDigits: number < 0.1 ? 2 : 3 });
}

function minutes(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}
