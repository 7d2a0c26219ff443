// Keeps a page current. Progress is written straight from the event; anything else makes the page
// stale, and its live parts are fetched again, together, at most about once a second.
"use strict";
(() => {
  const body = document.body;
  const state = document.querySelector("[data-stream]");
  const fleet = body.dataset.fleet === "true";
  const topics = (body.dataset.topics || "").split(" ").filter(Boolean);

  document.querySelector("[data-menu]")?.addEventListener("click", (e) => {
    const open = body.classList.toggle("open");
    e.currentTarget.setAttribute("aria-expanded", String(open));
  });
  for (const el of document.querySelectorAll("[data-submits]")) {
    el.addEventListener("change", () => el.form.requestSubmit());
  }
  // What a form would run, as it is filled in.
  for (const form of document.querySelectorAll("[data-estimate]")) {
    const at = form.getAttribute("data-estimate"), into = form.querySelector("[data-estimated]"); // form.dataset is its field of that name
    let timer = 0, asked = 0;
    const ask = async () => {
      const mine = ++asked;
      try {
        const resp = await fetch(at, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" }, redirect: "error" });
        if (resp.ok && mine === asked) into.textContent = (await resp.json()).text;
      } catch { /* the submission says what is wrong */ }
    };
    form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 300); });
    ask();
  }
  document.addEventListener("submit", (e) => {
    const form = e.target, question = form.dataset.confirm;
    if (question && !confirm(question)) return e.preventDefault();
    // Another tab may have chosen another workspace: what is done here is done in the one shown here.
    if (form.getAttribute("method") !== "post" || !body.dataset.workspace || form.elements.namedItem("workspace")) return;
    const at = new URL(form.getAttribute("action") || location.href, location.href);
    at.searchParams.set("workspace", body.dataset.workspace);
    form.setAttribute("action", at.pathname + at.search);
  });
  document.addEventListener("click", async (e) => {
    const button = e.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    const was = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = was; }, 1500);
  });

  const roughly = (s) => s < 1 ? `${Math.round(s * 1000)} ms` : s < 60 ? `${Math.floor(s)} s` : s < 3600 ? `${Math.floor(s / 60)} min`
    : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
  const figure = (v) => v == null ? "–" : Number(v).toFixed(Math.abs(v) >= 10 ? 2 : 3).replace("-", "−");
  const whole = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  setInterval(() => {
    for (const el of document.querySelectorAll("time[data-ago]")) {
      const s = (Date.now() - Date.parse(el.dateTime)) / 1000;
      el.textContent = s < 5 ? "now" : `${roughly(s)} ago`;
    }
  }, 5000);

  // Fetching again.
  let timer = 0, fetching = false, again = false, misses = 0;
  const stale = (wait) => { if (!timer) timer = setTimeout(refresh, wait); };
  async function refresh() {
    timer = 0;
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const whole = new URL(location.href);
      whole.searchParams.set("whole", "true");
      if (body.dataset.workspace) whole.searchParams.set("workspace", body.dataset.workspace); // another tab may have chosen another
      const resp = await fetch(whole, { headers: { Accept: "text/html" }, redirect: "manual" });
      if (resp.type === "opaqueredirect") return expired();
      if (resp.status >= 400 && resp.status < 500 && resp.status !== 408 && resp.status !== 429) return refused(resp.status);
      if (!resp.ok) return missed();
      await swap(new DOMParser().parseFromString(await resp.text(), "text/html"));
      misses = 0;
      // A part in which somebody types was left as it is.
      if ("late" in body.dataset && document.querySelector("[data-waits]")) stale(2000); else delete body.dataset.late;
    } catch { missed(); } finally {
      fetching = false;
      if (again) { again = false; stale(800); }
    }
  }
  // Of a page that is whole, the stream says whether the server is there; one that waits for its parts asks again.
  function missed() {
    if (!("late" in body.dataset)) return;
    waits("The server did not answer. Asking again…");
    stale(Math.min(60000, 4000 * 2 ** misses++));
  }
  function refused(status) {
    over(status === 404 ? "It has been deleted meanwhile." : `The server refuses it (${status}). Load the page again to see why.`);
    if (![403, 404, 410].includes(status) || !document.querySelector("[data-live]") || document.getElementById("refused-note")) return;
    const note = document.createElement("p");
    note.id = "refused-note";
    note.className = "note bad";
    note.setAttribute("role", "alert");
    note.textContent = "What you see is old: it was deleted meanwhile, or is not yours to see. Load the page again to see which.";
    document.getElementById("content").prepend(note);
  }
  function waits(text) { for (const el of document.querySelectorAll("[data-waits]")) el.textContent = text; }
  function over(text) {
    delete body.dataset.late;
    waits(text);
    for (const el of document.querySelectorAll(".late")) el.removeAttribute("aria-busy");
  }
  // What the server sent of each part: charts add to it, and only what the server changes is swapped.
  const sent = new Map([...document.querySelectorAll("[data-live]")].map((el) => [el.id, el.innerHTML]));
  async function swap(fresh) {
    for (const old of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(old.id);
      if (!next || next.innerHTML === sent.get(old.id)) continue;
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      if (focused && /^(INPUT|SELECT|TEXTAREA)$/.test(focused.tagName)) continue; // somebody is typing here
      const open = [...old.querySelectorAll("details")].map((d) => d.open);
      const href = focused?.getAttribute("href");
      sent.set(old.id, next.innerHTML);
      const chart = focused?.closest("figure[id]")?.id;
      old.replaceChildren(...next.childNodes);
      old.querySelectorAll("details").forEach((d, i) => { d.open = open[i] ?? d.open; });
      if (href) old.querySelector(`[href="${CSS.escape(href)}"]`)?.focus();
      document.dispatchEvent(new CustomEvent("millrace:swapped"));
      if (chart) document.getElementById(chart)?.querySelector(".plane")?.focus(); // somebody reads it by keyboard
      await new Promise(setTimeout); // a part a task: the page answers between two of them
    }
  }

  if ("late" in body.dataset) stale(0);
  if (Number(body.dataset.every)) setInterval(() => { if (!document.hidden) stale(0); }, body.dataset.every * 1000);

  // Progress of a tune, in place.
  function progress(e) {
    const p = e.payload;
    for (const el of document.querySelectorAll(`[data-tune="${CSS.escape(e.entity_id)}"]`)) {
      const part = (name) => el.querySelector(`[data-part="${name}"]`);
      const bar = part("bar"), done = part("done"), eta = part("eta"), best = part("best");
      if (bar && p.share_done != null) bar.value = p.share_done;
      if (done) done.textContent = whole(p.trials_completed);
      if (eta) eta.textContent = p.eta_seconds == null ? "" : `${roughly(p.eta_seconds)} left`;
      if (best && p.best_score != null) best.textContent = figure(p.best_score);
    }
  }
  function tail(e) {
    const list = document.querySelector("[data-tail]");
    if (!list) return;
    const row = document.getElementById("tail-row").content.cloneNode(true);
    const cells = row.querySelectorAll("td");
    const time = cells[0].querySelector("time");
    time.dateTime = e.at;
    time.textContent = e.at.replace("T", " ").slice(0, 19);
    cells[1].textContent = e.type;
    const link = document.querySelector("[data-river]") && e.topic === "jobs" ? cells[2].appendChild(document.createElement("a")) : cells[2];
    link.textContent = (e.entity_id || "").slice(-12);
    if (link.href === "") link.href = `/admin/riverui/jobs/${encodeURIComponent(e.entity_id)}`;
    cells[3].querySelector("code").textContent = JSON.stringify(e.payload);
    list.prepend(row);
    while (list.children.length > 200) list.lastElementChild.remove();
    document.querySelector("[data-tail-empty]")?.remove();
  }

  // The stream. EventSource knows only event types that were named to it and hides why it failed, so
  // the stream is read with fetch: it resumes with Last-Event-ID in the same way.
  let last = body.dataset.cursor || "", tries = 0, retry = 0, reading = null, wait = 2000;
  const say = (name, text) => { if (state) { state.dataset.state = name; state.textContent = text; } };
  function expired() {
    reading?.abort();
    clearTimeout(retry);
    say("ended", "session ended");
    over("The session has ended.");
    const note = document.getElementById("stream-note");
    if (note) note.hidden = false;
  }
  async function connect() {
    clearTimeout(retry);
    reading?.abort();
    const mine = reading = new AbortController();
    try {
      // What belongs to no workspace goes to the session alone; a ticket opens one workspace.
      let stream = "/admin/events/stream?";
      if (!fleet) {
        const ticket = await fetch("/admin/events/ticket", {
          method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" },
          body: JSON.stringify({ workspace_id: body.dataset.workspace }), signal: mine.signal,
        });
        if (ticket.status === 401) return expired();
        if (!ticket.ok) throw new Error(`ticket: ${ticket.status}`);
        stream = (await ticket.json()).stream;
      }
      const resp = await fetch(`${stream}&topics=${topics.join(",")}`, {
        headers: { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) }, signal: mine.signal,
      });
      if (resp.status === 401) return expired();
      if (!resp.ok) throw new Error(`stream: ${resp.status}`);
      tries = 0;
      // What happened between the making of the page and now is in no event to come.
      if (!last) stale(0);
      last ||= resp.headers.get("Last-Event-ID") || "";
      say("live", "live");
      await read(resp.body.pipeThrough(new TextDecoderStream()).getReader(), mine);
    } catch { /* reported below */ }
    if (mine !== reading || mine.signal.aborted) return;
    later();
  }
  async function read(reader, mine) {
    let text = "", silence = 0;
    const listen = () => { clearTimeout(silence); silence = setTimeout(() => { reader.cancel().catch(() => {}); }, 45000); };
    try {
      for (listen(); ;) {
        const { value, done } = await reader.read();
        if (done || mine.signal.aborted) return;
        listen(); // the server sends something every 15 s
        text += value;
        for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) frame(text.slice(0, end));
      }
    } finally { clearTimeout(silence); }
  }
  function frame(lines) {
    const f = {};
    for (const line of lines.split("\n")) {
      const at = line.indexOf(": ");
      if (at > 0) f[line.slice(0, at)] = line.slice(at + 2);
    }
    if (f.id) last = f.id;
    if (f.retry) wait = Number(f.retry);
    if (f.event === "reset") stale(0); else if (f.data && f.event !== "cursor") heard(JSON.parse(f.data));
  }
  function later() {
    const ms = tries ? Math.min(30000, wait * 2 ** Math.min(tries, 4)) * (0.7 + Math.random() * 0.6) : wait;
    tries++;
    say("retrying", `stream lost, retrying in ${Math.max(1, Math.round(ms / 1000))} s`);
    retry = setTimeout(connect, ms);
  }
  function heard(e) {
    tail(e);
    const entity = body.dataset.entity;
    if (e.type === "backtest.tune.progress") {
      progress(e);
      if (entity !== e.entity_id) return;
      return stale(1500);
    }
    if (document.querySelector("[data-live]")) stale(e.topic === "jobs" ? 1500 : 250);
  }
  if (topics.length && (fleet || body.dataset.workspace)) {
    connect();
    addEventListener("online", connect);
    // A browser opens few connections to one host: a page that nobody looks at gives its own back.
    let rest = 0, resting = false;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(rest);
      if (!document.hidden) {
        if (resting) connect();
        resting = false;
        return;
      }
      rest = setTimeout(() => {
        resting = true;
        reading?.abort();
        reading = null;
        clearTimeout(retry);
        say("off", "paused while hidden");
      }, 20000);
    });
    addEventListener("pagehide", () => { reading?.abort(); reading = null; clearTimeout(retry); });
    addEventListener("pageshow", (e) => { if (e.persisted) connect(); });
  }
})();
