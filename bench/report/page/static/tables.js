// Theme switch; sorting and filtering of the tables. Without this script all tables can be read.
(() => {
  "use strict";
  for (const part of document.querySelectorAll("[data-needs-script]")) part.hidden = false;

  const root = document.documentElement, button = document.getElementById("theme");
  const THEMES = ["", "light", "dark"], WORDS = { "": "automatic", light: "light", dark: "dark" };
  const nameTheme = () => {
    button.querySelector(".word").textContent = `Theme: ${WORDS[root.dataset.theme || ""]}`;
  };
  button.hidden = false;
  nameTheme();
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme || "") + 1) % THEMES.length];
    if (next) root.dataset.theme = next; else delete root.dataset.theme;
    try { localStorage.setItem("bench-theme", next); } catch { /* kept for this visit only */ }
    nameTheme();
  });

  const tables = [...document.querySelectorAll("#tables table.bench")];
  const valueOf = (row, index) => {
    const cell = row.cells[index];
    if (index === 0) return cell.textContent.trim().toLowerCase();
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };

  function sort(table, index, direction) {
    const body = table.tBodies[0], sign = direction === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [valueOf(row, index), row]);
    rows.sort(([a, x], [b, y]) => {
      // What has no number stands last in either direction.
      if (a === null || b === null) return (a === null) - (b === null) || x.dataset.place - y.dataset.place;
      return (a < b ? -sign : a > b ? sign : 0) || x.dataset.place - y.dataset.place;
    });
    body.append(...rows.map(([, row]) => row));
  }

  for (const table of tables) {
    [...table.tBodies[0].rows].forEach((row, place) => { row.dataset.place = place; });
    const region = table.closest(".wide");
    region.tabIndex = 0;
    region.setAttribute("role", "region");
    region.setAttribute("aria-label", table.caption.textContent);
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    heads.forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const lower = index === 0 || (head.title || "").startsWith("lower");
        const first = lower ? "ascending" : "descending";
        const other = lower ? "descending" : "ascending";
        const direction = head.getAttribute("aria-sort") === first ? other : first;
        for (const each of heads) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", direction);
        table.classList.add("sorted");
        sort(table, index, direction);
      });
    });
  }

  const filter = document.getElementById("filter");
  if (!filter) return;
  const told = document.getElementById("filtered");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    let shown = 0, all = 0;
    for (const table of tables) {
      for (const row of table.tBodies[0].rows) {
        const name = row.cells[0].textContent.toLowerCase();
        row.hidden = words.length > 0 && !words.some((word) => name.includes(word));
        shown += !row.hidden;
        all += 1;
      }
    }
    told.textContent = words.length ? `${shown} of ${all} rows` : "";
  });
  const section = document.getElementById("tables");
  document.getElementById("intervals").addEventListener("change", (event) => {
    section.classList.toggle("with-intervals", event.target.checked);
  });
  document.getElementById("unsort").addEventListener("click", () => {
    for (const table of tables) {
      for (const head of table.querySelectorAll("[aria-sort]")) head.removeAttribute("aria-sort");
      table.classList.remove("sorted");
      const rows = [...table.tBodies[0].rows].sort((x, y) => x.dataset.place - y.dataset.place);
      table.tBodies[0].append(...rows);
    }
    if (filter.value) { filter.value = ""; filter.dispatchEvent(new Event("input")); }
  });
})();
