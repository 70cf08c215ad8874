// The page's own behaviour: links open what they lead to, print opens all, films play, long lists are sorted and sieved.
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

  // class averages one by one, out of the picture that holds all of them
  for (const film of document.querySelectorAll(".film")) {
    const { count, columns, edge } = Object.fromEntries(Object.entries(film.dataset).map(([k, v]) => [k, +v]));
    const sheet = film.parentElement.querySelector("img"), pen = film.querySelector("canvas").getContext("2d");
    const at = film.querySelector(".at"), play = film.querySelector(".play");
    let clock = 0;
    const show = () => pen.drawImage(sheet, (at.value % columns) * edge, Math.floor(at.value / columns) * edge, edge, edge, 0, 0, edge, edge);
    const stop = () => { clearInterval(clock); clock = 0; play.textContent = "play"; };
    at.addEventListener("input", () => { stop(); show(); });
    play.addEventListener("click", () => {
      if (clock) { stop(); return; }
      play.textContent = "stop";
      clock = setInterval(() => { at.value = (+at.value + 1) % count; show(); }, 120);
    });
    sheet.complete ? show() : sheet.addEventListener("load", show);
  }

  // a click on a heading sorts; a second one turns the order round
  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("thead th").forEach((head, k) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: head.textContent });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[k].dataset.value ?? row.cells[k].textContent.trim();
        const rows = [...table.tBodies[0].rows].sort((a, b) => value(a).localeCompare(value(b), undefined, { numeric: true }));
        table.tBodies[0].append(...(down ? rows.reverse() : rows));
      });
    });
  }
  for (const sieve of document.querySelectorAll(".sieve")) {
    const rows = [...document.getElementById(sieve.dataset.table).tBodies[0].rows];
    const words = sieve.querySelector(".words"), left = sieve.querySelector(".left");
    const sift = () => {
      const kept = [...sieve.querySelectorAll("input:checked")].map((box) => box.value);
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !kept.includes(row.dataset.verdict) || !wanted.every((word) => text.includes(word));
      }
      left.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
    };
    sieve.addEventListener("input", sift);
    sift();
  }
})();
