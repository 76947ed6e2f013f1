// What all components that play sound share; put before the script of each.

const STARTED = "atlas-player-started"; // told to the whole page, so that one player at a time is heard
const ICONS = {
  previous: "M6 5h2.5v14H6zM19 5v14l-9.5-7z",
  next: "M15.5 5H18v14h-2.5zM5 5v14l9.5-7z",
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M6.5 5h4v14h-4zM13.5 5h4v14h-4z",
};

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function icon(name) {
  const holder = document.createElement("div");
  holder.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
  return holder.firstChild;
}
