// One click is one step of the browser's Back. Streamlit adds a step each time the address changes, also where a page
// only writes out what it shows: such a change takes the place of the address that led to it.
(() => {
  const push = history.pushState.bind(history);
  let isAsked = false; // whether somebody did something since the last step
  for (const type of ["click", "keydown", "change"]) addEventListener(type, () => (isAsked = true), true);
  history.pushState = (state, title, address) => {
    const isOfPage = new URL(address ?? location.href, location.href).pathname === location.pathname;
    const isCompleted = isOfPage && (!isAsked || !location.search);
    if (isCompleted) history.replaceState(state, title, address);
    else push(state, title, address);
    isAsked = false;
  };
})();
