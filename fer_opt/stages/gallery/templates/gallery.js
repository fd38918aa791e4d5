"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const tiles = [...byId("photos").children];
  const all = byId("all");
  const filters = [...document.querySelectorAll("#filters button[data-label]")];
  const unreadable = byId("unreadable");
  const status = byId("status");
  const everything = status.textContent;

  const isOn = (button) => button.getAttribute("aria-pressed") === "true";
  const shown = () => tiles.filter((tile) => !tile.hidden);

  function refresh() {
    const labels = filters.filter(isOn).map((button) => button.dataset.label);
    const wanted = new Set(labels);
    for (const tile of tiles) {
      tile.hidden = wanted.size > 0 && !wanted.has(tile.dataset.label);
    }
    if (unreadable) unreadable.hidden = wanted.size > 0;
    all.setAttribute("aria-pressed", String(wanted.size === 0));
    status.textContent = wanted.size === 0 ? everything
      : `${shown().length.toLocaleString("en")} of ${status.dataset.total} photos: ${labels.join(" or ")}.`;
  }

  function showAll() {
    for (const button of filters) button.setAttribute("aria-pressed", "false");
    refresh();
  }

  for (const button of filters) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(!isOn(button)));
      refresh();
    });
  }
  all.addEventListener("click", showAll);

  // Arrow keys move among buttons that can be pressed; up and down by rows of the grid.
  function move(event, buttons) {
    const at = buttons.indexOf(document.activeElement);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const place = (button) => button.getBoundingClientRect();
    const top = place(buttons[0]).top;
    const columns = Math.max(1, buttons.filter((b) => Math.abs(place(b).top - top) < 2).length);
    const to = {
      ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns,
      Home: 0, End: buttons.length - 1,
    }[event.key];
    if (to === undefined || !buttons[to]) return;
    event.preventDefault();
    buttons[to].focus();
  }
  byId("filters").addEventListener("keydown", (event) =>
    move(event, [all, ...filters].filter((button) => !button.disabled)));
  byId("photos").addEventListener("keydown", (event) =>
    move(event, shown().map((tile) => tile.firstElementChild)));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !dialog.open) showAll();
  });

  const dialog = byId("photo");
  const labels = JSON.parse(dialog.dataset.labels);
  let current = null;

  function row(name, share, text, kind) {
    const line = document.createElement("tr");
    if (kind) line.className = kind;
    const head = line.appendChild(document.createElement("th"));
    head.scope = "row";
    head.textContent = name;
    const bar = line.appendChild(document.createElement("td"));
    if (share !== null) {
      const full = bar.appendChild(document.createElement("div"));
      full.className = "share";
      full.appendChild(document.createElement("div")).style.width = `${100 * share}%`;
    }
    const number = line.appendChild(document.createElement("td"));
    number.className = "number";
    number.textContent = text;
    return line;
  }

  function fill(table, rows) {
    table.hidden = rows.length === 0;
    table.tBodies[0].replaceChildren(...rows);
  }

  const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
  const time = (ms) => `${ms < 10 ? ms.toFixed(2) : ms.toFixed(1)}\u00a0ms`;

  function tell(tile) {
    current = tile;
    const told = JSON.parse(tile.firstElementChild.dataset.details);
    const small = tile.querySelector("img");
    const image = byId("photo-image");
    image.hidden = !small;
    if (small) image.src = small.src;
    image.alt = small ? told.name : "";
    byId("photo-emoji").textContent = told.emoji;
    byId("photo-label").textContent = told.label;
    byId("photo-confidence").textContent = told.confidence;
    byId("photo-name").textContent = `${told.name}, ${told.width} × ${told.height} pixels`;
    byId("photo-note").textContent = told.note;
    byId("photo-note").hidden = !told.note;
    const faces = byId("photo-faces");
    faces.setAttribute("viewBox", `0 0 ${told.width} ${told.height}`);
    faces.replaceChildren(...(small ? told.faces : []).map(([x, y, width, height]) => {
      const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [name, value] of Object.entries({ x, y, width, height, rx: width / 24 })) {
        box.setAttribute(name, value);
      }
      return box;
    }));
    const best = Math.max(...told.probabilities);
    fill(byId("photo-probabilities"), told.probabilities.map((share, index) =>
      row(labels[index], share, percent(share), share === best ? "best" : "")));
    const stages = told.stages.map(([name, ms]) => row(name, ms / told.total, time(ms), ""));
    fill(byId("photo-stages"), [...stages, row("total", null, time(told.total), "total")]);
    const at = shown().indexOf(tile);
    byId("previous").setAttribute("aria-disabled", String(at === 0));
    byId("next").setAttribute("aria-disabled", String(at === shown().length - 1));
    if (!dialog.open) {
      dialog.showModal();
      byId("close").focus();
    }
    dialog.scrollTop = 0;
  }

  function step(by) {
    const tile = shown()[shown().indexOf(current) + by];
    if (tile) tell(tile);
  }

  byId("photos").addEventListener("click", (event) => {
    const tile = event.target.closest("li");
    if (tile) tell(tile);
  });
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) {
      event.preventDefault();
      step(by);
    }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
  dialog.addEventListener("close", () => current.firstElementChild.focus());
})();
