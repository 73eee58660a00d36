// Sorting and filtering of the table of points; lines of the parallel coordinates follow the filters.
"use strict";
(() => {
  const table = document.getElementById("points");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const titles = [...table.tHead.rows[0].cells];
  const filters = [...table.querySelectorAll(".filters input")];
  const frontOnly = document.getElementById("front-only");
  const lines = new Map();
  for (const line of document.querySelectorAll("polyline[data-point]")) lines.set(line.dataset.point, line);

  // Of a cell: the number, else the text.
  const value = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent;
  };

  const sort = (column) => {
    const title = titles[column];
    const up = title.getAttribute("aria-sort") !== "ascending";
    for (const other of titles) other.removeAttribute("aria-sort");
    title.setAttribute("aria-sort", up ? "ascending" : "descending");
    const compare = (a, b) => {
      const [x, y] = [value(a, column), value(b, column)];
      if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
      return typeof x === "number" ? x - y : x.localeCompare(y);
    };
    rows.sort((a, b) => (up ? compare(a, b) : compare(b, a)));
    body.append(...rows);
  };

  // A condition from what was typed: a comparison, a range, a number, else a part of the text.
  const condition = (typed) => {
    const text = typed.trim();
    if (text === "") return () => true;
    const numeric = (test) => (x) => typeof x === "number" && test(x);
    const close = (x, y) => Math.abs(x - y) <= 1e-9 * Math.max(Math.abs(x), Math.abs(y));
    const compared = text.match(/^(<=|>=|<|>|=)\s*(-?[\d.]+(?:e-?\d+)?)$/i);
    if (compared) {
      const y = Number(compared[2]);
      const tests = { "<=": (x) => x <= y, ">=": (x) => x >= y, "<": (x) => x < y, ">": (x) => x > y, "=": (x) => close(x, y) };
      return numeric(tests[compared[1]]);
    }
    const range = text.match(/^(-?[\d.]+)\s*\.\.\s*(-?[\d.]+)$/);
    if (range) return numeric((x) => x >= Number(range[1]) && x <= Number(range[2]));
    const y = Number(text);
    return (x) => (typeof x === "number" && !Number.isNaN(y) ? close(x, y) : String(x).toLowerCase().includes(text.toLowerCase()));
  };

  const filter = () => {
    const conditions = filters.map((input) => condition(input.value));
    let shown = 0;
    for (const row of rows) {
      const onFront = !frontOnly || !frontOnly.checked || row.classList.contains("front");
      const holds = onFront && conditions.every((test, column) => test(value(row, column)));
      row.hidden = !holds;
      shown += holds;
      const line = lines.get(row.dataset.point);
      if (line) line.classList.toggle("dimmed", !holds);
    }
    document.getElementById("shown").textContent = `${shown} of ${rows.length} points`;
  };

  titles.forEach((title, column) => title.querySelector("button").addEventListener("click", () => sort(column)));
  for (const input of filters) input.addEventListener("input", filter);
  if (frontOnly) frontOnly.addEventListener("change", filter);
  document.getElementById("clear").addEventListener("click", () => {
    for (const input of filters) input.value = "";
    if (frontOnly) frontOnly.checked = false;
    filter();
  });
  filter();

  // A figure as a file. Its own colours are dark on white; the page's style sheet, which changes them, stays behind.
  const save = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
  };
  const SCALE = 2;
  for (const figure of document.querySelectorAll("figure[id]")) {
    const svg = figure.querySelector("svg");
    const blob = () => new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
    const asPng = () => {
      const image = new Image();
      image.onload = () => {
        const canvas = document.createElement("canvas");
        canvas.width = SCALE * image.naturalWidth;
        canvas.height = SCALE * image.naturalHeight;
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.toBlob((png) => save(png, `${figure.id}.png`));
      };
      image.src = URL.createObjectURL(blob());
    };
    const bar = document.createElement("p");
    bar.className = "save";
    for (const [text, act] of [["SVG", () => save(blob(), `${figure.id}.svg`)], ["PNG", asPng]]) {
      const button = document.createElement("button");
      button.textContent = text;
      button.setAttribute("aria-label", `save this plot as ${text}`);
      button.addEventListener("click", act);
      bar.append(button);
    }
    figure.append(bar);
  }
})();
