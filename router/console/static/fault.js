// What is wrong with a field, told at it while one types; for the scripts of the pages that come after this one.
"use strict";

// Tell a fault at a control, or with none that all is well. announced is how screen readers hear of it: an
// attribute and its value.
const tellFault = (control, fault, announced) => {
  const { name } = control;
  const place = control.closest(".field");
  const id = `${name}-fault`;
  let line = document.getElementById(id);
  place.classList.toggle("faulty", Boolean(fault));
  if (!fault) {
    line?.remove();
    control.removeAttribute("aria-invalid");
    control.setAttribute("aria-describedby", `${name}-hint`);
    return;
  }
  if (!line) {
    line = document.createElement("p");
    line.id = id;
    line.className = "fault";
    line.setAttribute(...announced);
    place.querySelector(".hint").after(line);
  }
  const code = document.createElement("code");
  code.className = "code";
  code.textContent = fault.code;
  line.replaceChildren(`${fault.sentence} `, code);
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", `${name}-hint ${id}`);
};
