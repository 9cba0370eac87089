"use strict";
// What a paired device is: its key, which cannot be taken out, and what it signs. Used by the page and by the worker.
const device = (() => {
  const NAME = "sekisho";
  const STORE = "device";
  const ONLY = 1;
  let shift = 0;

  const open = () =>
    new Promise((resolve, reject) => {
      const asked = indexedDB.open(NAME, 1);
      asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });

  // One transaction: nobody else changes the record between `change` being given it and its being kept.
  const record = async (mode, change) => {
    const database = await open();
    try {
      return await new Promise((resolve, reject) => {
        const transaction = database.transaction(STORE, mode);
        const store = transaction.objectStore(STORE);
        let result;
        const asked = store.get(ONLY);
        asked.onsuccess = () => {
          result = change(asked.result, store);
        };
        transaction.oncomplete = () => resolve(result);
        transaction.onerror = () => reject(transaction.error);
        transaction.onabort = () => reject(transaction.error);
      });
    } finally {
      database.close();
    }
  };

  const load = () => record("readonly", (known) => known);
  const keep = (known) => record("readwrite", (_, store) => void store.put(known, ONLY));
  const forget = () => record("readwrite", (_, store) => void store.delete(ONLY));
  const change = (fields) =>
    record("readwrite", (known, store) => {
      if (known) store.put({ ...known, ...fields }, ONLY);
    });

  // Counted before it is used: a number that was signed is never signed again.
  const count = () =>
    record("readwrite", (known, store) => {
      const counter = known.counter + 1;
      store.put({ ...known, counter }, ONLY);
      return counter;
    });

  const encode = (octets) =>
    btoa(String.fromCharCode(...new Uint8Array(octets)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
  const decode = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const octets = (text) => new TextEncoder().encode(text);

  const CURVE = { name: "ECDSA", namedCurve: "P-256" };
  const SIGNING = { name: "ECDSA", hash: "SHA-256" };
  const makeKeys = () => crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
  const sign = async (keys, text) =>
    encode(await crypto.subtle.sign(SIGNING, keys.privateKey, octets(text)));
  const verify = async (key, text, signature) => {
    const known = await crypto.subtle.importKey("raw", decode(key), CURVE, false, ["verify"]);
    return crypto.subtle.verify(SIGNING, known, decode(signature), octets(text));
  };

  const now = () => Date.now() + shift;

  // Sends a question; what is refused is an answer, too.
  const post = async (path, body, signal) => {
    const sent = Date.now();
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal,
    });
    const said = await answer.json();
    // A question that waits is answered late; only a quick one tells the time.
    if (typeof said.now === "number" && Date.now() - sent < 5000) shift = said.now - Date.now();
    return { ok: answer.ok, status: answer.status, said };
  };

  const pair = async (code, label, language) => {
    const keys = await makeKeys();
    const point = encode(await crypto.subtle.exportKey("raw", keys.publicKey));
    const plain = code.normalize("NFKC").toUpperCase().replaceAll(/[\s\-‐−ー]/g, "")
      .replaceAll("O", "0").replaceAll(/[IL]/g, "1");
    const signature = await sign(keys, `sekisho pairing 1\n${plain}\n${point}\n`);
    const { ok, status, said } = await post("/device/pair", {
      code: plain, key: point, label, language, signature,
    });
    if (!ok) return { ok, status, said };
    await keep({
      id: said.device, account: said.account, name: said.name, label, keys,
      server: said.key, counter: 0, language,
    });
    return { ok, status, said };
  };

  const pollOnce = async (known, wait, seen, signal) => {
    const at = Math.round(now());
    const signature = await sign(known.keys, `sekisho poll 1\n${known.id}\n${at}\n`);
    return post("/device/poll", { device: known.id, at, wait, seen, signature }, signal);
  };

  // What waits for this device. Only what the server signed is given on.
  const poll = async (known, wait, seen, signal) => {
    let answer = await pollOnce(known, wait, seen, signal);
    // This clock may be wrong: the refusal told the time.
    if (answer.status === 403) answer = await pollOnce(known, false, seen, signal);
    if (!answer.ok) return answer;
    const requests = [];
    for (const { text, signature } of answer.said.requests) {
      if (!(await verify(known.server, `sekisho request 1\n${text}\n`, signature))) continue;
      const request = JSON.parse(text);
      if (request.device === known.id && request.account === known.account) requests.push(request);
    }
    return { ...answer, requests };
  };

  const decide = async (request, word, number) => {
    const known = await load();
    const counter = await count();
    const text =
      `sekisho decision 1\n${request.prompt}\n${request.account}\n${request.client}\n` +
      `${request.station}\n${request.opened}\n${word}\n${number}\n${known.id}\n${counter}\n`;
    const signature = await sign(known.keys, text);
    return post("/device/decide", {
      prompt: request.prompt, device: known.id, counter, response: word, number, signature,
    });
  };

  const setBell = async (bell) => {
    const known = await load();
    const counter = await count();
    const signature = await sign(
      known.keys, `sekisho doorbell 1\n${known.id}\n${counter}\n${bell}\n`);
    const answer = await post("/device/bell", { device: known.id, counter, bell, signature });
    if (answer.ok) await change({ bell });
    return answer;
  };

  // The subscription as the server takes it.
  const bellOf = (subscription) => JSON.stringify(subscription.toJSON());

  return { load, forget, change, pair, poll, decide, setBell, bellOf, decode, now };
})();
