/* The demo store in the browser: the basket, signing in, and what happens on a page told to Dangol. Everything about
 * recommendations goes through window.dangol, as it would in any other shop. Settings come from data attributes. */
(() => {
  "use strict";

  const BASKET = "store.basket";
  const PRODUCTS_MAX = 30; // Of the basket, in a question.
  const TOAST_MS = 2600;
  const { dangol } = window;
  const { page, event: pageEvent, imageUrl, productUrl } = document.body.dataset;
  const part = (name) => document.querySelector(`[data-cart="${name}"]`);
  const account = (name) => document.querySelector(`[data-account="${name}"]`);
  const place = (pattern, id) => pattern.replace("{product_id}", encodeURIComponent(id));
  const smallWords = new Set(["a", "and", "as", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with"]);
  const currencies = { GBP: "£", EUR: "€", USD: "$" };
  const hundredths = (price) => Math.round(Number(price || 0) * 100);

  function money(amount, currency) {
    const text = (amount / 100).toLocaleString("en-GB", { minimumFractionDigits: 2 });
    return currencies[currency] ? currencies[currency] + text : `${text} ${currency}`.trim();
  }

  /** A title written all in capitals, with capitals where a title has them: what the pages do with theirs. */
  function calm(text) {
    if (text !== text.toUpperCase() || text === text.toLowerCase()) return text;
    const cased = text.toLowerCase().replace(/(?<![\p{L}\p{N}_'’])\p{L}+/gu, (word) => (
      smallWords.has(word) ? word : word.charAt(0).toUpperCase() + word.slice(1)));
    return cased.charAt(0).toUpperCase() + cased.slice(1);
  }

  // The basket is a list of { product_id, title, price, currency, quantity }.

  function basket() {
    try {
      const lines = JSON.parse(localStorage.getItem(BASKET) || "[]");
      return Array.isArray(lines) ? lines : [];
    } catch {
      return [];
    }
  }

  function keep(lines) {
    try {
      localStorage.setItem(BASKET, JSON.stringify(lines));
    } catch { /* A browser without storage has no basket; the rest of the shop works. */ }
    showCount(lines);
  }

  function showCount(lines) {
    const pieces = lines.reduce((sum, line) => sum + line.quantity, 0);
    part("count").textContent = pieces;
    part("count").hidden = pieces === 0;
    part("count").setAttribute("aria-label", `${pieces} pieces`);
  }

  const moneyOf = (line) => ({ ...(line.price && { price: line.price }), ...(line.currency && { currency: line.currency }) });
  const orderLines = (lines) => lines.map(({ product_id, quantity, price }) => ({ product_id, quantity, ...(price && { price }) }));

  function change(productId, by) {
    const lines = basket();
    const line = lines.find((each) => each.product_id === productId);
    if (!line) return;
    const quantity = Math.max(0, Math.min(999, line.quantity + by));
    const moved = quantity - line.quantity;
    if (moved > 0) dangol.track("product_added", { product_id: productId, quantity: moved, ...moneyOf(line) });
    if (moved < 0) dangol.track("product_removed", { product_id: productId, quantity: -moved });
    line.quantity = quantity;
    keep(lines.filter((each) => each.quantity > 0));
    showBasket();
    if (quantity === 0) askAgain();
  }

  function add(form) {
    const { productId, title, price, currency } = form.dataset;
    const quantity = Math.max(1, Math.min(999, Number(form.elements.quantity.value) || 1));
    const lines = basket();
    const known = lines.find((line) => line.product_id === productId);
    if (known) known.quantity = Math.min(999, known.quantity + quantity);
    else lines.push({ product_id: productId, title, price, currency, quantity });
    keep(lines);
    dangol.track("product_added", { product_id: productId, quantity, ...moneyOf({ price, currency }) });
    say(`In your basket: ${title}`);
  }

  // The basket's page.

  function lineOf(line) {
    const node = part("line").content.firstElementChild.cloneNode(true);
    const at = (name) => node.querySelector(`[data-line="${name}"]`);
    at("link").href = at("name").href = place(productUrl, line.product_id);
    at("image").src = place(imageUrl, line.product_id);
    at("name").textContent = line.title;
    at("each").textContent = line.price ? `${money(hundredths(line.price), line.currency)} each` : "";
    at("quantity").textContent = line.quantity;
    at("total").textContent = line.price ? money(hundredths(line.price) * line.quantity, line.currency) : "";
    for (const [name, by] of [["less", -1], ["more", 1], ["remove", -line.quantity]]) {
      at(name).addEventListener("click", () => change(line.product_id, by));
    }
    at("remove").setAttribute("aria-label", `Remove ${line.title}`);
    return node;
  }

  function showBasket() {
    if (page !== "cart") return;
    const lines = basket();
    const focused = document.activeElement?.dataset.line;
    const row = [...part("lines").children].indexOf(document.activeElement?.closest(".line"));
    part("lines").replaceChildren(...lines.map(lineOf));
    part("lines").children[row]?.querySelector(`[data-line="${focused}"]`)?.focus();
    const pieces = lines.reduce((sum, line) => sum + line.quantity, 0);
    part("pieces").textContent = `${pieces} ${pieces === 1 ? "piece" : "pieces"}`;
    part("total").textContent = money(lines.reduce((sum, line) => sum + hundredths(line.price) * line.quantity, 0), lines[0]?.currency || "");
    part("basket").hidden = lines.length === 0;
    part("empty").hidden = lines.length > 0;
    const cross = document.querySelector('[data-dangol-placement="cart.cross-sell"]');
    cross.dataset.product = lines.slice(-PRODUCTS_MAX).map((line) => line.product_id).join(",");
    if (!lines.length) cross.hidden = true;
  }

  function askAgain() {
    if (basket().length) dangol.fill(document.querySelector('[data-dangol-placement="cart.cross-sell"]'));
  }

  function checkout() {
    dangol.track("checkout_started", { lines: orderLines(basket()) });
    part("checkout").hidden = true;
    part("confirm").hidden = false;
    part("order").focus();
  }

  async function order() {
    const lines = basket();
    const orderId = `o-${crypto.getRandomValues(new Uint32Array(2)).join("").slice(0, 12)}`;
    const { currency } = lines[0] || {};
    if (!lines.length) return;
    dangol.track("order_completed", { order_id: orderId, ...(currency && { currency }), lines: orderLines(lines) });
    keep([]);
    await dangol.flush();
    part("basket").hidden = true;
    document.querySelector('[data-dangol-placement="cart.cross-sell"]').hidden = true;
    part("heading").textContent = "Ordered";
    part("order-id").textContent = orderId;
    part("thanks").hidden = false;
    part("thanks").focus();
  }

  // Signing in.

  function showAccount() {
    const customer = dangol.visitor().customer_id;
    account("name").textContent = customer ? `No. ${customer}` : "Sign in";
    account("id").textContent = customer || "";
    account("in").hidden = Boolean(customer);
    account("out").hidden = !customer;
  }

  function changeVisitor(event, act) {
    event.preventDefault();
    act();
    showAccount();
    document.getElementById("account").open = false;
    const rows = [...document.querySelectorAll("[data-dangol-placement]")].filter((row) => row.dataset.product !== "");
    dangol.fill(rows);
    askHome();
  }

  function listenToAccount() {
    account("in").addEventListener("submit", (event) => {
      const customer = event.target.elements.customer.value.trim();
      if (customer) changeVisitor(event, () => dangol.identify(customer));
      else event.preventDefault();
    });
    account("leave").addEventListener("click", (event) => changeVisitor(event, () => dangol.reset()));
    document.addEventListener("click", (event) => {
      const box = document.getElementById("account");
      if (box.open && !box.contains(event.target)) box.open = false;
    });
    document.addEventListener("keydown", (event) => {
      const box = document.getElementById("account");
      if (event.key === "Escape" && box.open) { box.open = false; box.querySelector("summary").focus(); }
    });
  }

  // The homepage, where the shop has variants of it: what is pretended stands in the address, so that it can be sent on.

  const home = (name) => document.querySelector(`[data-home="${name}"]`);
  const SOURCES = {
    newsletter: "utm_source=letter&utm_medium=email&utm_campaign=may",
    "search-ad": "utm_source=google&utm_medium=cpc&utm_campaign=teacups",
    search: "utm_source=google&utm_medium=organic",
    social: "utm_source=instagram&utm_medium=social",
  };

  function pretended() {
    const asked = new URLSearchParams(location.search);
    const [condition, degrees] = (asked.get("weather") || "").split(",");
    const time = /^\d\d:\d\d$/.exec(asked.get("time") || "")?.[0];
    const source = SOURCES[asked.get("source")];
    const today = new Date().toISOString().slice(0, 10);
    const day = /^\d\d-\d\d$/.exec(asked.get("day") || "")?.[0];
    const date = day ? `${today.slice(0, 4)}-${day}` : today;
    const clock = time || (day && "13:00");
    return {
      ...(source && { url: `${location.origin}/?${source}` }),
      context: {
        ...(condition && { weather: { condition, ...(degrees && { temperature_c: Number(degrees) }) } }),
        ...(asked.get("device") && { device: asked.get("device") }),
        ...(clock && { local_time: `${date}T${clock}:00+00:00` }),
      },
    };
  }

  function showHome(answer) {
    const { content } = answer;
    document.body.dataset.variant = answer.variant;
    home("hero").dataset.theme = content.theme || "plain";
    for (const name of ["over", "headline", "text"]) if (content[name]) home(name).textContent = content[name];
    const picture = home("picture");
    picture.hidden = content.picture === "";
    if (/^[a-z-]+$/.test(content.picture || "")) picture.src = `${picture.dataset.pictures}${content.picture}.svg`;
    home("waiting")?.remove();
    home("rows").querySelectorAll(".row").forEach((old) => old.remove());
    answer.rows.forEach((row, at) => {
      const section = home("row").content.querySelector(".row").cloneNode(true);
      const title = content.rows?.[at] || "For you";
      section.dataset.shown = row.placement;
      section.setAttribute("aria-label", title);
      section.querySelector("h2").textContent = title;
      if (row.placement === "home.recently-viewed") section.dataset.kinds = "recently_viewed";
      if (row.placement === "home.buy-again") section.dataset.kinds = "buy_again";
      delete section.dataset.dangolPlacement;
      home("rows").append(section);
      dangol.show(section, row);
    });
    home("shown").textContent = answer.variant;
    home("why").textContent = `“${answer.variant}”, because: ${answer.chosen_by.rule}.`
      + (answer.impersonal ? ` Nothing about you was used: ${answer.impersonal}.` : "");
  }

  async function askHome() {
    if (!home("rows")) return;
    try {
      showHome(await dangol.homepage(pretended()));
    } catch {
      home("waiting")?.remove();
    }
  }

  function listenToPanel() {
    const form = home("panel")?.querySelector("form");
    if (!form) return;
    for (const [name, value] of new URLSearchParams(location.search)) {
      const field = form.elements.namedItem(name);
      if (field && [...field.options].some((option) => option.value === value)) field.value = value;
    }
    form.addEventListener("change", () => form.requestSubmit());
  }

  let toasting = null;
  function say(text) {
    const toast = document.querySelector("[data-toast]");
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(toasting);
    toasting = setTimeout(() => { toast.hidden = true; }, TOAST_MS);
  }

  document.addEventListener("dangol:filled", (event) => {
    for (const node of event.target.querySelectorAll('[data-dangol="title"]')) node.textContent = calm(node.textContent);
    for (const node of event.target.querySelectorAll('[data-dangol="reason"]')) {
      node.textContent = node.textContent.replace(/[A-Z][A-Z0-9'&+.,/-]*(?: +[A-Z0-9'&+.,/-]+)+/g, calm);
    }
  });

  if (pageEvent) {
    const { type, ...fields } = JSON.parse(pageEvent);
    dangol.track(type, fields);
  }
  showCount(basket());
  showAccount();
  listenToAccount();
  listenToPanel();
  askHome();
  part("add")?.addEventListener("submit", (event) => { event.preventDefault(); add(event.target); });
  if (page === "cart") {
    showBasket();
    part("checkout").addEventListener("click", checkout);
    part("wait").addEventListener("click", () => { part("confirm").hidden = true; part("checkout").hidden = false; });
    part("order").addEventListener("click", order);
    if (!basket().length) delete document.querySelector('[data-dangol-placement="cart.cross-sell"]').dataset.dangolPlacement;
  }
})();
