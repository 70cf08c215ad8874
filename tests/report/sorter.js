// Plays a reader of a long list: sieves by words and verdict, sorts, and says to the frame around what it saw.
addEventListener("load", () => setTimeout(() => {
  const shown = () => [...document.querySelectorAll("#list tbody tr")].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
  const found = { width: innerWidth, wide: document.documentElement.scrollWidth, all: shown() };
  const words = document.querySelector(".sieve .words"), box = document.querySelector('.sieve input[value="failed"]');
  words.value = "more1";
  words.dispatchEvent(new Event("input", { bubbles: true }));
  found.sieved = shown();
  found.said = document.querySelector(".sieve .left").textContent;
  words.value = "";
  box.checked = false;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  found.passed = shown();
  box.checked = true;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  const heads = document.querySelectorAll("#list thead button");
  heads[0].click(); heads[0].click();
  found.sorted = shown();
  heads[1].click();
  found.worst = shown()[0];
  found.how = heads[1].parentElement.getAttribute("aria-sort");
  parent.postMessage(JSON.stringify(found), "*");
}, 300));
