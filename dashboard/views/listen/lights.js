// Each neuron is lit as strongly as it answers at the playhead of the page's player.

const TIME = "atlas-player-time";
const MOST_LIT = 70; // per cent of colour, at which names have a contrast of 4.5 : 1 on either ground
const shown = new WeakMap(); // by the element it fills

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".lights");
  if (!shown.has(parentElement)) shown.set(parentElement, { now: 0 });
  const state = shown.get(parentElement);
  const strengths = data.rows.map((row) => Uint8Array.from(atob(row.strength), (letter) => letter.charCodeAt(0)));
  root.replaceChildren(
    ...data.rows.map((row) => {
      const light = document.createElement("button");
      light.type = "button";
      light.textContent = row.short;
      light.title = `Lay ${row.name} over the picture`;
      light.ariaPressed = String(row.name === data.chosen);
      light.addEventListener("click", () => setTriggerValue("picked", row.name));
      return light;
    }),
  );
  const light = () => {
    const column = Math.floor(state.now / data.step);
    [...root.children].forEach((one, row) => {
      const strength = (strengths[row][column] ?? 0) / 255;
      one.style.setProperty("--lit", `${Math.round(MOST_LIT * strength)}%`);
    });
  };
  const follow = (event) => {
    state.now = event.detail;
    light();
  };
  document.addEventListener(TIME, follow);
  light();
  return () => document.removeEventListener(TIME, follow);
}
