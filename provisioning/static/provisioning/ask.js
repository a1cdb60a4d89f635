// Progressive enhancement of the request form: every part works without this file, in UTC.
(() => {
  "use strict";

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";

  // Times are read in the time zone of the browser, and the form says so.
  for (const field of document.querySelectorAll("input[name=zone]")) {
    if (!field.value) field.value = zone;
    for (const name of field.form.querySelectorAll("[data-zone-name]")) name.textContent = field.value || "UTC";
  }

  for (const hidden of document.querySelectorAll("[data-with-js]")) hidden.hidden = false;

  // A link that fills the form in as it is now: it never sends anything.
  function link(form) {
    const address = new URL(location.pathname, location.origin);
    for (const offer of new URLSearchParams(location.search).getAll("offer")) address.searchParams.append("offer", offer);
    for (const field of form.querySelectorAll("[data-in-link], [data-in-link] input")) {
      if (field.name && field.value) address.searchParams.set(field.name, field.value);
    }
    return address.href;
  }

  document.addEventListener("click", (event) => {
    const preset = event.target.closest("[data-fill]");
    if (preset) {
      const field = document.getElementById(preset.dataset.fill);
      field.value = preset.dataset.value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    }
    const copy = event.target.closest("[data-copy-link]");
    // The page's own handler of [data-copy] comes next and copies this.
    if (copy) copy.dataset.copy = link(copy.form);
  }, true);
})();
