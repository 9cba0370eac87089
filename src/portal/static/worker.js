"use strict";
// Rings, and nothing else: keeps no page, so that none can be old. TEXTS stands above, as the server has them.
importScripts("/static/device.js");

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const text = async () => {
  const known = await device.load().catch(() => undefined);
  return TEXTS[known?.language] ?? TEXTS.both;
};

// What is shown is ours, whatever was sent: nothing of a login stands on a locked screen.
const ring = async () => {
  const { title, body, deny, lang } = await text();
  await self.registration.showNotification(title, {
    body, lang,
    tag: "sekisho",
    renotify: true,
    requireInteraction: true,
    icon: "/static/icon-192.png",
    badge: "/static/badge-96.png",
    actions: [{ action: "not-me", title: deny }],
  });
};

const wakePages = async () => {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  for (const page of pages) page.postMessage("ring");
};

// Each message is shown, once: browsers end subscriptions of those who do otherwise.
self.addEventListener("push", (event) => {
  event.waitUntil(Promise.allSettled([ring(), wakePages()]));
});

const denyAll = async () => {
  const known = await device.load();
  if (!known) return;
  const { requests = [] } = await device.poll(known, false, []);
  for (const request of requests) {
    if (!request.test) await device.decide(request, "deny", "");
  }
};

const openPage = async () => {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find((page) => new URL(page.url).pathname === "/app");
  if (page) return page.focus();
  return self.clients.openWindow("/app");
};

// The server is told first: a window may not be opened everywhere.
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    if (event.action === "not-me") await denyAll().catch(() => undefined);
    await openPage().catch(() => undefined);
    await wakePages().catch(() => undefined);
  })());
});

self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil((async () => {
    const old = event.oldSubscription;
    const fresh = event.newSubscription ??
      (old && (await self.registration.pushManager.subscribe(old.options)));
    await device.setBell(fresh ? device.bellOf(fresh) : "");
  })());
});
