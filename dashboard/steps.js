// One click is one step of the browser's Back. Streamlit adds a step each time the address changes, also where a page
// only writes out what it shows: such a change takes the place of the address that led to it. What the next page writes
// out may come before that page's own name: it is written there, not to the page that is left.
(() => {
  const push = history.pushState.bind(history);
  let isAsked = false; // whether somebody did something since the last step
  let next = null; // pathname of the page whose link was clicked, until it is there
  let isAhead = false; // whether what that page shows was written before its name

  for (const type of ["click", "keydown", "change"]) addEventListener(type, () => (isAsked = true), true);
  addEventListener("popstate", () => (next = null), true);
  addEventListener(
    "click",
    (event) => {
      const link = event.target.closest?.("a[href]:not([target=_blank])");
      const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
      if (link && isPlain && link.origin === location.origin) next = link.pathname;
    },
    true,
  );

  history.pushState = (state, title, address) => {
    const url = new URL(address ?? location.href, location.href);
    const isOfPage = url.pathname === location.pathname;
    const isOfNext = isOfPage && next !== null && next !== location.pathname;
    if (isOfNext) url.pathname = next;
    const isBareName = isAhead && isOfPage && !url.search;
    const isCompleted = isOfPage && !isOfNext && (!isAsked || !location.search);
    const isSecond = !isOfPage && !isAsked; // the click that led there has made its step
    if (isSecond && !url.search) url.search = location.search;
    if (!isBareName) {
      if (isCompleted || isSecond) history.replaceState(state, title, url);
      else push(state, title, url);
    }
    [isAsked, isAhead, next] = [false, isOfNext, null];
  };
})();
