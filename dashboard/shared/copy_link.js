// Copies the page's address, which is what the page shows.

export default function ({ parentElement }) {
  const button = parentElement.querySelector("button");
  const said = button.querySelector("span");
  const copy = async () => {
    button.classList.toggle("copied", await written(location.href));
    said.textContent = button.classList.contains("copied") ? "Copied" : "Copy it from the address bar";
    setTimeout(() => (said.textContent = "Copy link"), 2000);
  };
  button.addEventListener("click", copy);
  return () => button.removeEventListener("click", copy);
}

async function written(text) {
  try {
    await navigator.clipboard.writeText(text); // only where the page came by HTTPS, or from this machine
    return true;
  } catch {
    const field = document.body.appendChild(document.createElement("textarea"));
    field.value = text;
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}
