// Keeps the page's files, so that it works without a network. fer export writes files.js, which
// names them and their version.
importScripts("files.js");

const PREFIX = `fer-edge ${registration.scope} `;
const NAME = PREFIX + VERSION;
const PAGE = "./";

async function keep() {
  const cache = await caches.open(NAME);
  // not what the browser's own cache has of another version
  await cache.addAll([PAGE, ...FILES].map((name) => new Request(name, { cache: "reload" })));
  await skipWaiting();
}

async function dropOthers() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== NAME);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

// With any query; other pages of the folder are no part of this one.
function isPage({ mode, url }) {
  const scope = new URL(registration.scope).pathname;
  return mode === "navigate" && [scope, `${scope}index.html`].includes(new URL(url).pathname);
}

async function respond(request) {
  const cache = await caches.open(NAME);
  return (await cache.match(isPage(request) ? PAGE : request)) ?? fetch(request);
}

addEventListener("install", (event) => event.waitUntil(keep()));
addEventListener("activate", (event) => event.waitUntil(dropOthers()));
addEventListener("fetch", (event) => event.respondWith(respond(event.request)));
