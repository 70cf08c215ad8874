// The page's own behaviour: a link opens the trajectory that it leads to, print opens all of them.
"use strict";
(() => {
  const open = () => {
    const at = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!at) return;
    for (let box = at; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
    at.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
  addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll("details.trajectory")) box.open = true;
    perrinViews.drawAll();
  });
})();
