"use strict";
// The page of a paired device: shows what waits for its owner, and sends what they say.
const at = (id) => document.getElementById(id);
const texts = {};
for (const { dataset, textContent } of at("texts").children) texts[dataset.key] = textContent;
const say = (key, values = {}) =>
  Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), texts[key]);
const language = document.documentElement.lang;
const app = at("app");
const cards = new Map();
let polling;
let ticking;
let again;

const show = (state) => {
  for (const section of app.querySelectorAll("section")) {
    section.hidden = section.id !== `state-${state}`;
  }
};

const announce = (text) => {
  at("live").textContent = text;
};

// ---- pairing

const isApple = /iPhone|iPad|iPod/.test(navigator.userAgent) ||
  (navigator.userAgent.includes("Macintosh") && navigator.maxTouchPoints > 1);
const isInstalled = navigator.standalone === true || matchMedia("(display-mode: standalone)").matches;

const ownName = () => {
  const kinds = ["iPhone", "iPad", "Android", "Windows", "Macintosh", "CrOS", "Linux"];
  const kind = kinds.find((kind) => navigator.userAgent.includes(kind)) ?? "Browser";
  const today = new Date();
  const two = (number) => String(number).padStart(2, "0");
  return `${kind} (${today.getFullYear()}-${two(today.getMonth() + 1)}-${two(today.getDate())})`;
};

const askPairing = () => {
  at("install").hidden = !isApple || isInstalled;
  at("pair-name").value = ownName();
  show("pair");
};

at("pair").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter ?? event.target.querySelector("button");
  const said = at("pair-said");
  said.hidden = true;
  button.disabled = true;
  try {
    const { ok, status } = await device.pair(at("pair-code").value, at("pair-name").value, language);
    if (ok) return await start();
    said.textContent = say(status === 429 ? "too_many" : "pair_wrong");
  } catch {
    said.textContent = say("offline");
  } finally {
    button.disabled = false;
  }
  said.hidden = false;
});

at("forget").addEventListener("click", async () => {
  await device.forget();
  askPairing();
});

// ---- the doorbell

const patience = (promise, millis) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error("late")), millis))]);

const canRing = app.dataset.vapid !== "" && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

const register = () =>
  navigator.serviceWorker.register("/worker.js", { scope: "/app", updateViaCache: "none" });

const subscribe = async () => {
  const registration = await register();
  await patience(navigator.serviceWorker.ready, 8000).catch(() => undefined);
  const held = await patience(registration.pushManager.getSubscription(), 8000);
  if (held) return held;
  const key = device.decode(app.dataset.vapid);
  // Where no push service can be reached this neither succeeds nor fails.
  const options = { userVisibleOnly: true, applicationServerKey: key };
  return patience(registration.pushManager.subscribe(options), 8000);
};

const tellBell = async () => {
  const bell = device.bellOf(await subscribe());
  const known = await device.load();
  if (known.bell === bell) return;
  const answer = await device.setBell(bell);
  if (!answer.ok) throw new Error(`refused: ${answer.status}`);
};

const offerBell = (known) => {
  const open = canRing && Notification.permission !== "denied" && !known.noBell;
  at("bell").hidden = !open || (Notification.permission === "granted" && Boolean(known.bell));
};

at("bell-on").addEventListener("click", async (event) => {
  event.target.disabled = true;
  try {
    const permission = await Notification.requestPermission();
    if (permission !== "granted") throw new Error(permission);
    await tellBell();
    at("bell").hidden = true;
    announce(say("bell_works"));
  } catch {
    at("bell-said").textContent = say("bell_fails");
  } finally {
    event.target.disabled = false;
  }
});

at("bell-later").addEventListener("click", async () => {
  await device.change({ noBell: true });
  at("bell").hidden = true;
});

// ---- requests

const clock = (millis) =>
  new Date(millis).toLocaleTimeString(language, { hour: "numeric", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

const plainDigits = (typed) => typed.normalize("NFKC").replaceAll(/\s/g, "");

const fromOf = (request) =>
  [request.zone ?? say("outside"), request.station === "unknown" ? say("unknown_station") : request.station]
    .join(" · ");

const outcome = (title, told, kind) => {
  const card = at("outcome").content.firstElementChild.cloneNode(true);
  card.classList.add(kind === "approved" || kind === "tested" ? "yes" : "no");
  card.querySelector("h2").textContent = title;
  card.querySelector(".told").textContent = told;
  card.querySelector(".password").hidden = kind !== "reported";
  card.querySelector("button").addEventListener("click", () => card.remove());
  card.tabIndex = -1;
  return card;
};

const finish = (entry, word, told) => {
  const card = outcome(say(`title_${word}`), told ?? say(`told_${word}`), word);
  // What ended by itself may not take the focus from where somebody types.
  const isTheirs = !["elsewhere", "over"].includes(word) || entry.card.contains(document.activeElement);
  entry.card.replaceWith(card);
  cards.delete(entry.request.prompt);
  if (isTheirs) card.focus();
  tidy();
};

const refused = (entry, { status, said }) => {
  const line = entry.card.querySelector(".said");
  line.textContent = say(status === 429 ? "too_many" : "not_taken");
  line.hidden = false;
  if (said.outcome === "replayed") line.textContent = say("replayed");
};

const send = async (entry, word, number) => {
  const buttons = entry.card.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  const line = entry.card.querySelector(".said");
  line.hidden = true;
  entry.sending = true;
  try {
    const answer = await device.decide(entry.request, word, number);
    if (!answer.ok) return refused(entry, answer);
    if (answer.said.outcome === "wrong-number") {
      line.textContent = say("wrong_number");
      line.hidden = false;
      entry.digits.value = "";
      return entry.digits.focus();
    }
    const outcome = answer.said.outcome.replaceAll("-", "_");
    finish(entry, entry.request.test && outcome === "approved" ? "tested" : outcome);
  } catch {
    line.textContent = say("offline");
    line.hidden = false;
  } finally {
    entry.sending = false;
    for (const button of buttons) button.disabled = false;
    entry.ready();
  }
};

const fill = (card, request) => {
  const part = (name) => card.querySelector(`.${name}`);
  part("client").textContent = request.test ? say("test_title") : request.label[language];
  part("name").textContent = request.name;
  part("from").textContent = fromOf(request);
  part("new-place").hidden = !request.new;
  const digits = part("digits");
  const asked = request.crossing !== "none";
  const label = part("ask");
  digits.id = `digits-${request.prompt}`;
  label.htmlFor = digits.id;
  const shown = request.test ? "digits_test" : "digits_shown";
  label.textContent = asked ? say(request.crossing === "typed" ? "digits_typed" : shown) : "";
  part("crossing").hidden = !asked;
  const approve = part("approve");
  // A number that was typed may have two to four digits; one that is shown has as many as it has.
  const ready = () => {
    const typed = plainDigits(digits.value);
    approve.disabled = asked && !(typed.length >= (request.digits || 2) && /^[0-9]+$/.test(typed));
  };
  digits.addEventListener("input", ready);
  ready();
  return { digits, ready };
};

const add = (request) => {
  const card = at("request").content.firstElementChild.cloneNode(true);
  const part = (name) => card.querySelector(`.${name}`);
  const entry = { card, request, ...fill(card, request) };
  card.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!part("approve").disabled) send(entry, "approve", plainDigits(entry.digits.value));
  });
  part("deny").addEventListener("click", () => send(entry, "deny", ""));
  const sure = (open) => {
    part("sure").hidden = !open;
    part("not-me").hidden = open;
    part(open ? "report" : "not-me").focus();
  };
  part("not-me").hidden = request.test;
  part("not-me").addEventListener("click", () => sure(true));
  part("back").addEventListener("click", () => sure(false));
  part("report").addEventListener("click", () => send(entry, "report", ""));
  at("requests").append(card);
  cards.set(request.prompt, entry);
  announce(say("arrived", { what: part("client").textContent }));
};

const tick = () => {
  for (const entry of cards.values()) {
    const { card, request } = entry;
    const left = Math.max(0, Math.ceil((request.expires - device.now()) / 1000));
    const ago = Math.max(0, Math.floor((device.now() - request.opened) / 1000));
    card.querySelector(".when").textContent = say("when", { time: clock(request.opened), ago });
    card.querySelector(".remaining").textContent = say("seconds", { seconds: left });
    if ((left === 30 || left === 10) && entry.told !== left) {
      entry.told = left;
      announce(say("seconds_left", { seconds: left }));
    }
    if (left === 0 && !entry.sending) finish(entry, "over");
  }
};

const tidy = () => {
  const open = [...cards.values()].map(({ request }) => request);
  at("nothing").hidden = cards.size > 0;
  at("several").hidden = new Set(open.map(({ station, client }) => `${client} ${station}`)).size < 2;
  [...cards.values()].forEach(({ card }, index) => {
    const line = card.querySelector(".of-several");
    line.hidden = cards.size < 2;
    line.textContent = say("of_several", { number: index + 1, all: cards.size });
  });
};

const take = (requests) => {
  const open = new Set(requests.map(({ prompt }) => prompt));
  for (const entry of [...cards.values()]) {
    // What is just being answered here is gone by the time that the answer has come back.
    if (!open.has(entry.request.prompt) && !entry.sending) finish(entry, "elsewhere");
  }
  for (const request of requests) if (!cards.has(request.prompt)) add(request);
  tidy();
  tick();
};

// ---- the loop

const round = async (known, wait) => {
  polling = new AbortController();
  const seen = [...cards.keys()];
  const answer = await device.poll(known, wait, seen, polling.signal);
  at("offline").hidden = true;
  if (answer.status === 403) return show("gone"), 0;
  if (!answer.ok) return 10000;
  at("device-name").textContent = answer.said.label;
  take(answer.requests);
  return 500;
};

const loop = async (known) => {
  let failures = 0;
  for (let wait = false; ; wait = true) {
    let pause = 0;
    try {
      pause = await round(known, wait);
      failures = 0;
      if (pause === 0) return;
    } catch (error) {
      if (error.name !== "AbortError") {
        failures += 1;
        at("offline").hidden = failures < 2;
        pause = Math.min(30000, 1000 * 2 ** failures);
      }
    }
    await new Promise((resolve) => {
      again = resolve;
      setTimeout(resolve, pause);
    });
  }
};

const hurry = () => {
  polling?.abort();
  again?.();
};

const start = async () => {
  const known = await device.load();
  if (!known) return askPairing();
  await device.change({ language });
  at("account").textContent = known.name;
  at("device-name").textContent = known.label;
  show("list");
  offerBell(known);
  if (canRing && Notification.permission === "granted" && !known.noBell) {
    tellBell().catch(() => undefined);
  }
  ticking ??= setInterval(tick, 1000);
  await loop(known);
};

const supported =
  window.isSecureContext && window.crypto?.subtle && window.indexedDB && window.AbortController;
if (!supported) {
  show("unsupported");
} else {
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") hurry();
  });
  if (canRing) {
    register().catch(() => undefined);
    navigator.serviceWorker.addEventListener("message", hurry);
  }
  start().catch(() => show("unsupported"));
}
