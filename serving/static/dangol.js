/* Dangol's shopper tag: tells the shop's memory what happens on a page, and fills rows of products from it.
 *
 *   <script src="/static/dangol.js" data-endpoint="https://dangol.example" data-key="pk_…" defer></script>
 *   <section data-dangol-placement="home.for-you" data-limit="6" hidden><h2>For you</h2></section>
 *
 * `data-kinds="recently_viewed"` keeps only items given for these reasons, so that a row filled up with something else
 * stays away. A category may be given as `data-category`, products of the page as `data-product`.
 *
 * The tag never throws into the page and never shows an error: what cannot be sent waits in a bounded queue and is sent
 * again (harmless, because every event has an id), and a row that cannot be filled stays away. What the server says
 * reaches the page as text, never as markup. It needs no inline script, so a strict Content-Security-Policy may stand.
 */
(() => {
  "use strict";

  const QUEUE_MAX = 200; // Events; beyond it the oldest go. A visitor offline for a day makes fewer.
  const BATCH_MAX = 50; // Events in a request.
  const BATCH_CHARACTERS_MAX = 15_000; // Browsers let 64 KiB of keepalive requests be under way; a character has up to 3.
  const CLICKS_MAX = 20; // Remembered clicks, so that a later view or cart names the row that led to it.
  const FLUSH_DELAY_MS = 250;
  const FLUSH_WAIT_MAX_MS = 1_000; // A row waits no longer than this for the events before it.
  const ANSWER_WAIT_MAX_MS = 5_000;
  const RETRY_FIRST_MS = 1_000;
  const RETRY_MAX_MS = 60_000;
  const ADDRESS_MAX = 8_000; // Characters of an address.
  const TEXT_MAX = 200; // Of a campaign tag.

  const script = document.currentScript;
  const settings = { endpoint: "", key: null, store: null };
  const memory = new Map();
  const inFlight = new Set();
  let sending = Promise.resolve(true);
  let timer = null;
  let failures = 0;
  const brought = trafficSource();

  // What the browser keeps.

  function read(name, otherwise) {
    try {
      const text = settings.store ? settings.store.getItem(`dangol.${name}`) : memory.get(name);
      return text ? JSON.parse(text) : otherwise;
    } catch {
      return otherwise;
    }
  }

  function write(name, value) {
    const text = JSON.stringify(value);
    try {
      if (settings.store) settings.store.setItem(`dangol.${name}`, text);
      else memory.set(name, text);
    } catch {
      settings.store = null; // Full or forbidden: from here on memory has to do.
      memory.set(name, text);
    }
  }

  function storageFor(choice) {
    if (choice === "memory") return null;
    try {
      const store = choice && typeof choice === "object" ? choice : window.localStorage;
      store.setItem("dangol.probe", "1");
      store.removeItem("dangol.probe");
      return store;
    } catch {
      return null;
    }
  }

  function randomId() {
    const bytes = crypto.getRandomValues(new Uint8Array(18));
    return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
  }

  function anonymousId() {
    let id = read("anonymous_id", null);
    if (typeof id !== "string" || id.length < 22) {
      id = randomId();
      write("anonymous_id", id);
    }
    return id;
  }

  function visitor() {
    const customerId = read("customer_id", null);
    return { anonymous_id: anonymousId(), ...(customerId && { customer_id: customerId }) };
  }

  /** The time where the visitor is, with its offset from UTC. */
  function localTime(moment = new Date()) {
    const ahead = -moment.getTimezoneOffset();
    const offset = new Date(Math.abs(ahead) * 60_000).toISOString().slice(11, 16);
    return new Date(moment.getTime() + ahead * 60_000).toISOString().slice(0, 19) + (ahead < 0 ? "-" : "+") + offset;
  }

  /** What brought the visitor to this page, as campaign tags or the referrer tell; null within a visit. */
  function trafficSource() {
    const tags = new URLSearchParams(location.search);
    const [source, medium, campaign] = ["source", "medium", "campaign"].map((name) => tags.get(`utm_${name}`)?.slice(0, TEXT_MAX));
    if (source || medium) return { source, medium, campaign };
    if (tags.has("gclid")) return { source: "google", medium: "cpc" };
    try {
      const from = document.referrer ? new URL(document.referrer).hostname.replace(/^www\./, "") : null;
      if (!from) return { source: "(direct)", medium: "(none)" };
      if (from === location.hostname.replace(/^www\./, "")) return null;
      return { source: from.slice(0, TEXT_MAX), medium: /(^|\.)(google|bing|duckduckgo|yahoo|ecosia|baidu|yandex)\./.test(from) ? "organic" : "referral" };
    } catch {
      return null;
    }
  }

  function device() {
    const agent = navigator.userAgent || "";
    if (/\b(TV|SmartTV|AppleTV|BRAVIA|Tizen.+TV|Web0S)\b/i.test(agent)) return "tv";
    if (/iPad|Tablet|PlayBook|Silk/i.test(agent) || (/Android/i.test(agent) && !/Mobile/i.test(agent))) return "tablet";
    if (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1) return "tablet"; // An iPad that calls itself a Mac.
    return /Mobi|iPhone|Android/i.test(agent) ? "mobile" : "desktop";
  }

  // Talking to the server.

  function request(path, body, options) {
    const headers = { "Content-Type": "application/json" };
    if (settings.key) headers.Authorization = `Bearer ${settings.key}`;
    return fetch(settings.endpoint + path, {
      method: "POST", headers, body: JSON.stringify(body), credentials: "omit", ...options,
    });
  }

  function nextBatch() {
    const batch = [];
    let characters = 0;
    for (const event of read("queue", [])) {
      if (inFlight.has(event.event_id)) continue;
      characters += JSON.stringify(event).length;
      if (batch.length === BATCH_MAX || (batch.length && characters > BATCH_CHARACTERS_MAX)) break;
      batch.push(event);
    }
    return batch;
  }

  /** Sends a batch and forgets it once the server has answered for it; false when it is worth trying again. */
  async function send(batch) {
    const ids = new Set(batch.map((event) => event.event_id));
    ids.forEach((id) => inFlight.add(id));
    try {
      const response = await request("/v1/events", { events: batch }, { keepalive: true });
      if (response.status >= 500 || response.status === 429 || response.status === 408) return false;
      if (!response.ok) console.warn("dangol: events refused with status", response.status);
      write("queue", read("queue", []).filter((event) => !ids.has(event.event_id)));
      return true;
    } catch {
      return false;
    } finally {
      ids.forEach((id) => inFlight.delete(id));
    }
  }

  async function sendAll() {
    clearTimeout(timer);
    for (let batch = nextBatch(); batch.length; batch = nextBatch()) {
      if (!(await send(batch))) {
        const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures++);
        timer = setTimeout(flush, wait * (0.5 + Math.random() / 2));
        return false;
      }
    }
    failures = 0;
    return true;
  }

  /** Sends what is waiting. Resolves to whether nothing waits any more; never rejects. */
  function flush() {
    sending = sending.then(sendAll);
    return sending;
  }

  function leave() {
    const batch = nextBatch();
    if (batch.length) send(batch); // keepalive lets it outlive the page; the next page repeats what it cannot be sure of.
  }

  // What the page calls.

  /** Queues an event of the native batch, such as track("product_viewed", { product_id: "85123A" }). Returns its id. */
  function track(type, fields = {}) {
    const led = ["product_viewed", "product_added"].includes(type) && read("clicks", {})[fields.product_id];
    const event = {
      type, event_id: randomId(), occurred_at: new Date().toISOString(), ...visitor(), ...(led || {}), ...fields,
      context: { device: device(), ...(brought && { traffic_source: brought }), ...fields.context },
    };
    write("queue", [...read("queue", []), event].slice(-QUEUE_MAX));
    if (!failures) {
      clearTimeout(timer);
      timer = setTimeout(flush, FLUSH_DELAY_MS);
    }
    return event.event_id;
  }

  /** The visitor is this customer from now on, in events and in questions. */
  function identify(customerId, traits = {}) {
    write("customer_id", String(customerId));
    return track("customer_identified", { traits });
  }

  /** The next visitor of this browser is somebody else. */
  function reset() {
    leave();
    write("customer_id", null);
    write("clicks", {});
    write("anonymous_id", randomId());
  }

  /** One answer for one placement, a list of answers without a product in two of them for a list. Rejects on failure. */
  async function recommend(placements, params = {}) {
    await Promise.race([flush(), new Promise((resolve) => { setTimeout(resolve, FLUSH_WAIT_MAX_MS); })]);
    const many = Array.isArray(placements);
    const path = many ? "/v1/recommendations" : `/v1/recommendations/${encodeURIComponent(placements)}`;
    const body = { ...visitor(), ...params, context: { device: device(), ...params.context } };
    if (many) body.placements = placements;
    const response = await request(path, body, { signal: AbortSignal.timeout(ANSWER_WAIT_MAX_MS) });
    if (!response.ok) throw new Error(`dangol: no recommendations, status ${response.status}`);
    const answer = await response.json();
    return many ? answer.rows : answer;
  }

  /** The homepage for this visitor, page and situation, as `/v1/homepage` answers it. Rejects on failure. */
  async function homepage(params = {}) {
    await Promise.race([flush(), new Promise((resolve) => { setTimeout(resolve, FLUSH_WAIT_MAX_MS); })]);
    const body = {
      ...visitor(), url: location.href.slice(0, ADDRESS_MAX), referrer: document.referrer.slice(0, ADDRESS_MAX),
      ...(navigator.globalPrivacyControl && { consent: { gpc: true } }),
      ...params, context: { device: device(), local_time: localTime(), ...params.context },
    };
    const response = await request("/v1/homepage", body, { signal: AbortSignal.timeout(ANSWER_WAIT_MAX_MS) });
    if (!response.ok) throw new Error(`dangol: no homepage, status ${response.status}`);
    return response.json();
  }

  // Rows on the page.

  /** The item's own address, or the one the row's pattern makes, which wins; only http and https reach the page. */
  function safeUrl(value, pattern, productId) {
    const raw = pattern ? pattern.replace("{product_id}", encodeURIComponent(productId)) : value;
    if (!raw) return null;
    try {
      const url = new URL(raw, document.baseURI);
      return ["http:", "https:"].includes(url.protocol) ? url.href : null;
    } catch {
      return null;
    }
  }

  function money(price, currency) {
    if (price === null || price === undefined) return "";
    try {
      const locale = document.documentElement.lang || undefined;
      return new Intl.NumberFormat(locale, { style: "currency", currency }).format(Number(price));
    } catch {
      return [price, currency].filter(Boolean).join(" ");
    }
  }

  function defaultCard() {
    const link = document.createElement("a");
    link.className = "dangol-card";
    link.dataset.dangol = "link";
    for (const [tag, part] of [["img", "image"], ["span", "title"], ["span", "price"], ["small", "reason"]]) {
      const child = link.appendChild(document.createElement(tag));
      child.className = `dangol-${part}`;
      child.dataset.dangol = part;
    }
    return link;
  }

  function setPart(node, item, row) {
    const part = node.dataset.dangol;
    if (part === "link") {
      const url = safeUrl(item.url, row.dataset.productUrl, item.product_id);
      if (url) node.setAttribute("href", url);
    } else if (part === "image") {
      const url = safeUrl(item.image_url, row.dataset.imageUrl, item.product_id);
      if (!url) { node.remove(); return; }
      node.setAttribute("src", url);
      node.setAttribute("loading", "lazy");
      if (!node.hasAttribute("alt")) node.setAttribute("alt", "");
    } else {
      const texts = { title: item.title || item.product_id, price: money(item.price, item.currency), reason: item.reason?.text };
      node.textContent = texts[part] || "";
      node.hidden = !node.textContent;
    }
  }

  function clicked(answer, item) {
    const led = { request_id: answer.request_id, click_token: item.click_token };
    const others = Object.entries(read("clicks", {})).filter(([productId]) => productId !== item.product_id);
    write("clicks", Object.fromEntries([...others.slice(1 - CLICKS_MAX), [item.product_id, led]]));
    track("ranking_clicked", { ...led, product_id: item.product_id });
    leave(); // The page is about to go; the navigation itself is left alone.
  }

  function cardFor(answer, item, row) {
    const template = row.querySelector("template");
    const card = template ? template.content.firstElementChild.cloneNode(true) : defaultCard();
    card.dataset.productId = item.product_id;
    const parts = [card, ...card.querySelectorAll("[data-dangol]")].filter((node) => node.dataset.dangol);
    parts.forEach((node) => setPart(node, item, row));
    for (const kind of ["click", "auxclick"]) {
      card.addEventListener(kind, (event) => {
        if (event.target.closest("a") && event.button < 2) clicked(answer, item);
      });
    }
    return card;
  }

  /** Puts the products of an answer into a row, after its `<template>`; a row without any stays away. */
  function show(row, answer) {
    const place = row.querySelector("[data-dangol-items]") || row;
    place.querySelectorAll(":scope > [data-product-id]").forEach((old) => old.remove());
    const kinds = row.dataset.kinds?.split(",").map((kind) => kind.trim());
    const items = (answer?.items || []).filter((item) => !kinds || kinds.includes(item.reason?.kind));
    place.append(...items.map((item) => cardFor(answer, item, row)));
    row.hidden = items.length === 0;
    row.dispatchEvent(new CustomEvent("dangol:filled", { bubbles: true, detail: answer }));
  }

  function paramsOf(row) {
    const { limit, product, category } = row.dataset;
    return {
      ...(limit && { limit: Number(limit) }),
      ...(product && { product_ids: product.split(",").map((id) => id.trim()).filter(Boolean) }),
      ...(category && { category: category.startsWith("[") ? JSON.parse(category) : category }),
    };
  }

  async function fillTogether(rows) {
    try {
      const placements = rows.map((row) => row.dataset.dangolPlacement);
      const answers = await recommend(placements, paramsOf(rows[0]));
      rows.forEach((row) => show(row, answers.find((answer) => answer.placement === row.dataset.dangolPlacement)));
    } catch {
      rows.forEach((row) => { row.hidden = true; });
    }
  }

  /** Fills an element, several, or all rows of the page; rows that ask alike are asked together. Never rejects. */
  async function fill(target = document.querySelectorAll("[data-dangol-placement]")) {
    const groups = new Map();
    for (const row of target instanceof Element ? [target] : [...target]) {
      const { limit, product, category } = row.dataset;
      const alike = JSON.stringify([limit, product, category]);
      groups.set(alike, [...(groups.get(alike) || []), row]);
    }
    await Promise.all([...groups.values()].map(fillTogether));
  }

  /** endpoint: the origin of the Dangol server; key: a publishable key; storage: "local", "memory" or a Storage. */
  function init({ endpoint, key, storage } = {}) {
    settings.endpoint = String(endpoint ?? settings.endpoint).replace(/\/+$/, "");
    settings.key = key ?? settings.key;
    settings.store = storageFor(storage);
    if (read("queue", []).length) flush();
    return window.dangol;
  }

  window.dangol = { init, track, flush, identify, reset, recommend, homepage, fill, show, visitor };
  window.addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") leave(); });
  init({ endpoint: script?.dataset.endpoint ?? (script?.src ? new URL(script.src).origin : ""), key: script?.dataset.key,
         storage: script?.dataset.storage });
  if (document.readyState === "complete") fill();
  else { // After the page's own deferred scripts, so that what they track is known to the rows.
    const begin = () => { removeEventListener("DOMContentLoaded", begin); removeEventListener("load", begin); fill(); };
    addEventListener("DOMContentLoaded", begin);
    addEventListener("load", begin);
  }
})();
