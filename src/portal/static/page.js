"use strict";
// Looks whether something that a page waits for has happened, and goes on. Without it a button does the same.
const watched = document.querySelector("[data-watch]");
if (watched && watched.dataset.state) {
  const { watch, state, then } = watched.dataset;
  const look = async () => {
    let wait = 2000;
    try {
      const answer = await fetch(watch, { cache: "no-store", redirect: "error" });
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
