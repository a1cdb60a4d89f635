// The policy editor only; the form works without this file.
(() => {
  "use strict";

  function changed(area) {
    area.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.dispatchEvent(new Event("policy:changed"));
  }

  // Numbers beside the lines. The Tab key is left alone: it must lead out of the field.
  function number(area) {
    const wrap = document.createElement("div");
    const gutter = document.createElement("pre");
    wrap.className = "numbered";
    gutter.setAttribute("aria-hidden", "true");
    area.replaceWith(wrap);
    wrap.append(gutter, area);
    let shown = 0;
    const show = () => {
      const lines = area.value.split("\n").length;
      if (lines !== shown) gutter.textContent = Array.from({ length: lines }, (_, line) => line + 1).join("\n");
      shown = lines;
      gutter.scrollTop = area.scrollTop;
    };
    area.addEventListener("input", show);
    area.addEventListener("scroll", show);
    show();
  }

  // Only white space outside of strings moves: parsing would drop doubled keys and round numbers.
  function formatted(text) {
    JSON.parse(text);
    const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g);
    let depth = 0;
    let out = "";
    const line = () => (out += `\n${"  ".repeat(depth)}`);
    tokens.forEach((token, at) => {
      if ("[{".includes(token)) {
        out += token;
        depth += 1;
        if (!"]}".includes(tokens[at + 1])) line();
      } else if ("]}".includes(token)) {
        depth -= 1;
        if (!"[{".includes(tokens[at - 1])) line();
        out += token;
      } else if (token === ",") {
        out += token;
        line();
      } else {
        out += token === ":" ? ": " : token;
      }
    });
    return out;
  }

  for (const box of document.querySelectorAll("[data-policy]")) {
    const area = box.querySelector("textarea");
    const says = box.querySelector("[data-format-says]");
    const button = box.querySelector("[data-format]");
    number(area);
    button.hidden = false;
    button.addEventListener("click", () => {
      try {
        if (area.value.trim()) area.value = formatted(area.value);
        says.textContent = "Formatted.";
        changed(area);
      } catch (error) {
        says.textContent = `Not valid JSON yet: ${error.message}`;
      }
    });
    for (const example of box.querySelectorAll("[data-example]")) {
      const use = example.querySelector("[data-use]");
      use.hidden = false;
      use.addEventListener("click", () => {
        if (area.value.trim() && !confirm("Replace what stands in the inline policy?")) return;
        area.value = example.querySelector("code").textContent;
        changed(area);
        area.focus();
      });
    }
  }
  for (const note of document.querySelectorAll("[data-no-script]")) note.hidden = true;
})();
