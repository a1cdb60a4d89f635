// Progressive enhancement only: every page works without this file.
(() => {
  "use strict";

  // One fixed shape, the same as the server's, so that times line up in tables.
  const day = { day: "numeric", month: "short" };
  const clock = { hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  const shapes = { full: { ...day, year: "numeric", ...clock }, short: { ...day, ...clock } };

  const pad = (number) => String(number).padStart(2, "0");

  function timeLeft(seconds) {
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    if (seconds <= 0) return "ended";
    if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
    if (hours) return `${hours} h ${pad(minutes % 60)} min`;
    return `${minutes} min ${pad(seconds % 60)} s`;
  }

  function showLocalTimes() {
    for (const time of document.querySelectorAll("time[data-local]:not([title])")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.valueOf())) continue;
      const shape = shapes[time.dataset.local] || shapes.full;
      time.title = time.textContent.trim();
      time.textContent = new Intl.DateTimeFormat("en-GB", shape).format(moment);
    }
  }

  function tick() {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[data-countdown]")) {
      const seconds = Math.max(0, Math.ceil((Date.parse(time.dateTime) - now) / 1000));
      const text = timeLeft(seconds);
      if (time.textContent !== text) time.textContent = text;
      // Only a countdown that we saw running tells the page that it ended: otherwise a fragment
      // that comes back still at zero would ask for itself again and again.
      if (!seconds && time.dataset.running) time.dispatchEvent(new Event("countdown:ended", { bubbles: true }));
      time.dataset.running = seconds ? "yes" : "";
    }
    for (const bar of document.querySelectorAll("progress[data-until]")) {
      const until = Date.parse(bar.dataset.until);
      const share = (until - now) / (until - Date.parse(bar.dataset.from));
      bar.value = bar.max * Math.min(1, Math.max(0, share));
    }
  }

  // What is typed as UTC, or added to a moment, in words: UTC first, then the reader's own time.
  function inBoth(moment) {
    const shape = (zone) => new Intl.DateTimeFormat("en-GB", { ...shapes.short, ...zone }).format(moment);
    return `${shape({ timeZone: "UTC" })}, which is ${shape({})} for you.`;
  }

  function showTyped() {
    for (const output of document.querySelectorAll("output[data-local-of]")) {
      const moment = new Date(`${document.getElementById(output.dataset.localOf).value}Z`);
      const text = Number.isNaN(moment.valueOf()) ? "" : `Starts ${inBoth(moment)}`;
      if (output.textContent !== text) output.textContent = text;
    }
    for (const output of document.querySelectorAll("output[data-sum-of]")) {
      const field = document.getElementById(output.dataset.sumOf);
      const minutes = Number.parseInt(field.value, 10);
      const moment = new Date(Date.parse(field.dataset.addsTo) + minutes * 60000);
      const text = Number.isNaN(moment.valueOf()) ? "" : `Would end ${inBoth(moment)}`;
      if (output.textContent !== text) output.textContent = text;
    }
  }

  function refresh() {
    showTyped();
    showLocalTimes();
    tick();
  }

  function say(text) {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  }

  async function copy(button) {
    const text = button.dataset.copy || button.closest(".code").querySelector("code").textContent;
    const label = button.querySelector("span") || button;
    const before = label.textContent;
    let result = "Copied";
    try {
      await navigator.clipboard.writeText(text.trim());
    } catch {
      result = "Press Ctrl+C";
      const source = button.dataset.copy ? button.previousElementSibling : button.closest(".code").querySelector("code");
      if (source) getSelection().selectAllChildren(source);
    }
    say(result);
    if (before === result) return;
    label.textContent = result;
    setTimeout(() => (label.textContent = before), 2000);
  }

  function release(form) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    // htmx has prevented the default by now and keeps its own count.
    if (event.defaultPrevented || form.method !== "post" || form.target === "_blank") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    // Not `disabled`: that would drop the button's own name and value from what is sent.
    if (event.submitter) event.submitter.setAttribute("aria-disabled", "true");
    setTimeout(() => release(form), 10000);
  });

  // In an inbox: j and k go from row to row, x chooses the one that has the focus. Enter is the
  // link's own. Whoever types a letter into a field means the letter.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !["j", "k", "x"].includes(event.key)) return;
    const typing = event.target.matches("input:not([type=checkbox]), select, textarea, [contenteditable]");
    const rows = [...document.querySelectorAll("[data-inbox] [data-row]")];
    if (typing || !rows.length) return;
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    if (event.key === "x") {
      const box = at < 0 ? null : rows[at].querySelector("input[type=checkbox]");
      if (box) box.click();
    } else {
      const next = event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0);
      rows[next].querySelector("[data-row-link]").focus();
    }
    event.preventDefault();
  });

  // A page that comes back out of the browser's cache must not stay locked.
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(release));
  document.addEventListener("input", showTyped);
  document.addEventListener("htmx:load", refresh);
  setInterval(tick, 1000);
  refresh();
  document.querySelector("[data-focus]")?.focus();
})();
