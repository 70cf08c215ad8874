// Plays the reader at the end of the page: looks, picks, turns, colours, and says to the frame around what it saw.
addEventListener("load", () => setTimeout(() => {
  const box = document.querySelector(".viewer"), canvas = box.querySelector("canvas");
  perrinViews.drawAll();
  const ink = () => {
    const copy = document.createElement("canvas"), pen = copy.getContext("2d", { willReadFrequently: true });
    [copy.width, copy.height] = [canvas.width, canvas.height];
    pen.drawImage(canvas, 0, 0);
    const pixels = pen.getImageData(0, 0, copy.width, copy.height).data, seen = new Set();
    for (let k = 0; k < pixels.length; k += 4)
      if (pixels[k + 3]) seen.add((pixels[k] >> 4) * 256 + (pixels[k + 1] >> 4) * 16 + (pixels[k + 2] >> 4));
    return seen.size;
  };
  const press = (key) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const said = () => box.querySelector(".picked").textContent;
  const found = { width: innerWidth, wide: document.documentElement.scrollWidth, colours: ink() };
  found.narrow = [...document.querySelectorAll("dt")].filter((t) => t.offsetParent && t.clientWidth < 80).map((t) => t.textContent);
  found.drawn = [...document.querySelectorAll(".viewer")].map((b) => +b.dataset.drawn);
  const frame = canvas.getBoundingClientRect();
  const at = { clientX: frame.left + frame.width / 2, clientY: frame.top + frame.height / 2, pointerId: 1, bubbles: true };
  canvas.setPointerCapture = () => {};
  canvas.dispatchEvent(new PointerEvent("pointerdown", at));
  canvas.dispatchEvent(new PointerEvent("pointerup", at));
  found.clicked = said();
  press("Escape"); press("n"); found.first = said(); press("n"); found.second = said();
  const before = JSON.stringify(perrinViews.views[0].R);
  press("ArrowLeft"); press("+");
  found.turned = before !== JSON.stringify(perrinViews.views[0].R);
  found.together = perrinViews.views.every((v) => v.R === perrinViews.views[0].R && v.zoom === perrinViews.views[0].zoom);
  const by = box.querySelector(".by");
  found.choices = [...by.options].map((o) => o.text);
  found.legends = found.choices.map((_, k) => {
    by.value = k;
    by.dispatchEvent(new Event("change"));
    perrinViews.drawAll();
    return ink();
  });
  const all = document.querySelector(".viewer[data-states]"), state = all.querySelector(".state");
  found.played = [1, 2].map((k) => {
    state.value = k;
    state.dispatchEvent(new Event("input"));
    return all.querySelector(".picked").textContent.split(" Click")[0];
  });
  const click = (home, name) => home.querySelector(name).dispatchEvent(new MouseEvent("click", { bubbles: true }));
  const pair = [...document.querySelectorAll(".viewer[data-linked]")], choice = pair[0] && pair[0].querySelector(".by");
  if (pair.length) {
    choice.value = [...choice.options].findIndex((o) => o.text === "radial strain");
    choice.dispatchEvent(new Event("change"));
    found.linked = pair.map((b) => b.querySelector(".by").selectedOptions[0].text);
    found.scales = pair.map((b) => b.querySelector(".legend").textContent);
  }
  const timed = document.querySelector(".viewer.timed");
  if (timed) {
    const words = () => timed.querySelector(".picked").textContent.split(" Click")[0];
    found.moments = [words()];
    for (const name of [".after", ".after", ".before"]) { click(timed, name); found.moments.push(words()); }
    timed.querySelector(".time").value = 1199;
    timed.querySelector(".time").dispatchEvent(new Event("input"));
    found.moments.push(words());
  }
  const film = document.querySelector(".film");
  if (film) {
    const seen = () => film.querySelector("canvas").toDataURL();
    const one = seen();
    film.querySelector(".at").value = 3;
    film.querySelector(".at").dispatchEvent(new Event("input"));
    found.film = one !== seen() && one.length > 2000;
  }
  found.network = performance.getEntriesByType("resource").filter((e) => !e.name.startsWith("data:")).length;
  parent.postMessage(JSON.stringify(found), "*");
}, 300));
