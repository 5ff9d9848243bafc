"use strict";
// Everything can be read without this: it copies what is there to be pasted, and opens what is linked to or printed.
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
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
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
