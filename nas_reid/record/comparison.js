// Sorts the table of runs, and shows the alphas of one run at one epoch. Without it the page still shows everything else.
const body = document.querySelector("#runs tbody"), heads = [...document.querySelectorAll("#runs th")];
const by = document.getElementById("sort");
// Columns of further galleries and data sets are many: each set is shown when it is ticked, or sorted by.
const boxes = {};
for (const name of new Set(heads.map(head => head.dataset.further).filter(Boolean))) {
  const label = document.createElement("label"), box = document.createElement("input");
  box.type = "checkbox";
  box.addEventListener("change", () => show(name, box.checked));
  label.append(box, ` ${name}`);
  document.getElementById("further").append(label);
  boxes[name] = box;
  show(name, false);
}
function show(name, seen) {
  boxes[name].checked = seen;
  heads.forEach((head, index) => {
    if (head.dataset.further === name)
      for (const row of [head.parentElement, ...body.rows]) row.cells[index].hidden = !seen;
  });
}
let last = "", upwards = false;
function sortBy(column) {
  upwards = column === last ? !upwards : heads[column].dataset.least === "1";
  last = column;
  if (heads[column].dataset.further) show(heads[column].dataset.further, true);
  const key = row => row.cells[column].dataset.value;
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return upwards ? order : -order;
  });
  rows.forEach(row => body.append(row));
  heads.forEach((head, index) => head.setAttribute("aria-sort",
    index !== column ? "none" : upwards ? "ascending" : "descending"));
  by.value = column;
}
heads.forEach((head, index) => head.addEventListener("click", () => sortBy(index)));
by.addEventListener("change", () => sortBy(Number(by.value)));

const data = JSON.parse(document.getElementById("alphas-data").textContent);
const place = document.getElementById("alphas"), which = document.getElementById("which"),
      slider = document.getElementById("epoch"), told = document.getElementById("told");
function cell(tag, text, name) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}
function draw() {
  const run = data[which.value], at = Number(slider.value);
  told.textContent = `epoch ${run.epochs[at]} of ${run.epochs.at(-1)}`;
  place.replaceChildren();
  for (const [name, decision] of Object.entries(run.decisions)) {
    const table = document.createElement("table"), head = table.createTHead().insertRow();
    table.className = "alphas";
    head.append(cell("th", name));
    decision.choices.forEach((choice, k) => head.append(cell("th",
      decision.excluded.includes(k) ? `${choice} (never taken)` : choice, "turned")));
    const open = decision.values[at].flatMap(row => row.filter((_, k) => !decision.excluded.includes(k)));
    const [least, most] = [Math.min(...open), Math.max(...open)];
    decision.values[at].forEach((row, r) => {
      const line = table.insertRow(), taken = decision.chosen ? decision.chosen[at][r] : null;
      line.append(cell("td", decision.rows[r], taken === -1 ? "left" : ""));
      row.forEach((value, k) => {
        const share = most > least ? (value - least) / (most - least) : 0, out = decision.excluded.includes(k);
        const made = cell("td", value.toFixed(2), out ? "left" : taken === k ? "taken" : "");
        if (!out) made.style.background = `rgba(31, 119, 180, ${(0.75 * share).toFixed(2)})`;
        line.append(made);
      });
    });
    place.append(table);
  }
}
function choose() {
  slider.max = data[which.value].epochs.length - 1;
  slider.value = slider.max;
  draw();
}
if (Object.keys(data).length) {
  which.addEventListener("change", choose);
  slider.addEventListener("input", draw);
  choose();
}
