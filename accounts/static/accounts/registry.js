// The offer form only; it works without this file.
(() => {
  "use strict";

  const LONG = 9; // entries; a shorter list is seen at once

  function narrow(box) {
    const input = box.querySelector("input");
    const count = box.querySelector("[role=status]");
    const options = [...box.closest("fieldset").querySelectorAll("label")].filter((one) => one.querySelector("[type=checkbox]"));
    if (options.length < LONG) return;
    box.hidden = false;
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      for (const option of options) {
        // What is ticked stays in sight: it will be saved, whatever the box says.
        const shown = option.textContent.toLowerCase().includes(wanted) || option.querySelector(":checked");
        option.parentElement.hidden = !shown;
      }
      count.textContent = `${options.filter((one) => !one.parentElement.hidden).length} shown`;
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
    });
  }

  function inWords(minutes) {
    if (!Number.isInteger(minutes) || minutes < 1) return "";
    const parts = [[Math.floor(minutes / 1440), "d"], [Math.floor(minutes / 60) % 24, "h"], [minutes % 60, "min"]];
    return `= ${parts.filter(([number]) => number).map(([number, unit]) => `${number} ${unit}`).join(" ")}`;
  }

  for (const box of document.querySelectorAll("[data-narrow]")) narrow(box);
  for (const shown of document.querySelectorAll("[data-minutes-of]")) {
    const input = document.getElementById(shown.dataset.minutesOf);
    const show = () => (shown.textContent = inWords(Number(input.value)));
    input.addEventListener("input", show);
    show();
  }
})();
