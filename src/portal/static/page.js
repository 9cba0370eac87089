"use strict";
// Looks whether something that a page waits for has happened, and goes on. Without it a button does the same.
const watched = document.querySelector("[data-watch]");
if (watched && watched.dataset.state) {
  const { watch, state, then } = watched.dataset;
  const look = async () => {
    let wait = 2000;
    try {
      const answer = await fetch(watch, { cache: "no-store", redirect: "manual" });
      // The session has ended: the page itself says what to do.
      if (answer.type === "opaqueredirect") return location.reload();
      if (answer.ok && (await answer.json()).state !== state) {
        const form = then && document.getElementById(then);
        return form ? form.requestSubmit() : location.reload();
      }
      if (!answer.ok) wait = 10000;
    } catch {
      wait = 5000;
    }
    setTimeout(look, wait);
  };
  setTimeout(look, 2000);
}
