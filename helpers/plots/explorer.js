for (const root of document.querySelectorAll(".explorer:not([data-ready])")) {
  root.dataset.ready = "";
  const all = selector => [...root.querySelectorAll(selector)];
  const {slots, shared, groups} = JSON.parse(all("script[type='application/json']")[0].textContent);
  const shown = groups.map(group => group.first);
  let current = 0;

  const fill = (name, text) => {
    for (const each of all(`[data-slot='${name}']`))
      if (each.dataset.attribute) each.setAttribute(each.dataset.attribute, text);
      else each.innerHTML = text;
  };

  const show = (group, item) => {
    current = group;
    shown[group] = item;
    for (const each of all("[data-group]"))
      each.toggleAttribute("hidden", Number(each.dataset.group) !== group);
    for (const each of all("input[data-item]"))
      each.checked = Number(each.dataset.item) === shown[each.dataset.of];
    for (const each of all("input[data-choice]"))
      each.checked = Number(each.dataset.choice) === group;
    const {views, same, kin} = groups[group];
    for (const each of all(`[data-group='${group}'] [data-marks]`)) {
      const marks = each.dataset.marks.split(" ").map(Number);
      each.classList.toggle("chosen", marks.includes(item));
      each.classList.toggle("kin", marks.every(mark => mark !== item && kin[mark] === kin[item]));
    }
    slots.forEach((name, i) => fill(name, views[item][i]));
    shared.forEach((name, i) => fill(name, same[i]));
  };

  root.addEventListener("change", event => {
    const {item, of, choice} = event.target.dataset;
    if (item) show(Number(of), Number(item));
    else if (choice) show(Number(choice), shown[choice]);
  });
  root.addEventListener("click", event => {
    const path = event.target.closest("path[data-marks]");
    const marks = path ? path.dataset.marks.split(" ") : [];
    if (marks.length === 1) show(current, Number(marks[0]));
  });
  for (const each of all("input")) each.disabled = false;
  show(current, shown[current]);
}
