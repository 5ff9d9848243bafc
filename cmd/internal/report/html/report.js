"use strict";
// Everything can be read without this: it copies what is there to be pasted, opens what is linked to or printed, and
// shows only some of what was run where that is asked for.
(() => {
  const copied = async (button) => {
    const text = button.parentElement.querySelector("pre").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      // No clipboard for this page: what is to be copied is selected instead.
      getSelection().selectAllChildren(button.parentElement.querySelector("pre"));
      button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  };
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copied(button));
  }
  const filter = document.getElementById("filter");
  const narrow = () => {
    const words = filter.querySelector("input[type=search]").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = [...filter.querySelectorAll("input:checked")].map((box) => box.value);
    // The title of a cell is the whole name; what is listed below may be without the topology.
    const cells = [...document.querySelectorAll("table.heat a.cell")];
    const names = new Map(cells.map((cell) => [cell.getAttribute("href"), cell.title]));
    const runs = [...document.querySelectorAll("details.run")];
    const shown = new Set();
    for (const run of runs) {
      const href = "#" + run.querySelector(".body").id;
      const summary = run.querySelector("summary");
      const name = (summary.textContent + " " + (names.get(href) || "")).toLowerCase();
      const fits = verdicts.includes(summary.querySelector(".v").textContent) && words.every((word) => name.includes(word));
      run.classList.toggle("out", !fits);
      if (fits) shown.add(href);
    }
    for (const cell of cells) cell.classList.toggle("out", !shown.has(cell.getAttribute("href")));
    for (const row of document.querySelectorAll("table.heat tbody tr")) row.classList.toggle("out", !row.querySelector("a.cell:not(.out)"));
    for (const article of document.querySelectorAll("article")) {
      article.classList.toggle("out", ![...article.querySelectorAll("h3 a")].some((a) => shown.has(a.getAttribute("href"))));
    }
    filter.querySelector("output").textContent = shown.size === runs.length ? "all " + runs.length : shown.size + " of " + runs.length;
  };
  const widen = () => {
    filter.querySelector("input[type=search]").value = "";
    for (const box of filter.querySelectorAll("input[type=checkbox]")) box.checked = true;
    narrow();
  };
  if (filter) {
    filter.hidden = false;
    filter.addEventListener("input", narrow);
    const asked = (e) => e.key === "/" && !(e.ctrlKey || e.altKey || e.metaKey) && e.target.type !== "search";
    addEventListener("keydown", (e) => {
      if (asked(e)) e.preventDefault(); // some browsers have a search of their own there
      if (e.key === "Escape" && filter.contains(e.target)) widen();
    });
    // When the key is up: the letter itself is not to be typed into the field.
    addEventListener("keyup", (e) => { if (asked(e)) filter.querySelector("input").focus(); });
    addEventListener("pageshow", narrow); // a browser that comes back has kept what was typed
    narrow();
  }
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest(".out")) widen();
    for (let e = target; e; e = e.parentElement) {
      if (e.tagName === "DETAILS") e.open = true;
    }
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("beforeprint", () => {
    for (const d of document.querySelectorAll("details:not([open])")) { d.open = true; d.dataset.printed = ""; }
  });
  addEventListener("afterprint", () => {
    for (const d of document.querySelectorAll("details[data-printed]")) { d.open = false; delete d.dataset.printed; }
  });
})();
