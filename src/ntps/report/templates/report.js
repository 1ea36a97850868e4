"use strict";
// A click on a heading sorts by its column, a second one turns the order round; rows without a value stay last.
for (const table of document.querySelectorAll("table")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      const numeric = heading.classList.contains("number");
      const key = row => row.cells[column].dataset.key;
      const order = (a, b) => {
        if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
        const ascending = numeric ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b));
        return descending ? -ascending : ascending;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    });
  });
}
// Browsers show the title of a point after a while, and not to a finger; this shows it at once.
for (const point of document.querySelectorAll(".point")) {
  const title = point.querySelector("title");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.textContent = title.textContent;
  title.remove();
  point.addEventListener("pointerenter", () => {
    document.querySelector("main").append(tip);
    const here = point.getBoundingClientRect();
    const left = Math.min(here.right, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(0, left) + scrollX}px`;
    tip.style.top = `${here.top - tip.offsetHeight + scrollY}px`;
  });
  point.addEventListener("pointerleave", () => tip.remove());
}
