// Customer access settings: says while one types what is wrong and what saving changes, keeps the colour picker
// in step with its field, and has the previews follow. Without it the page does the same when the form is sent.
"use strict";
{
  const form = document.querySelector("form[data-check]");
  const frames = document.querySelectorAll("iframe[data-preview]");
  const fields = ["external_domain", "theme_colour"];
  const patience = 300; // milliseconds without a key
  let timer = 0;
  let asked = 0;

  const typed = () => {
    const query = new URLSearchParams();
    for (const name of ["external", "external_domain", "theme_colour", "allow_registration"]) {
      const control = form.elements[name];
      query.set(name, control.type === "checkbox" ? (control.checked ? "yes" : "no") : control.value);
    }
    return query;
  };

  const look = () => {
    const query = typed();
    for (const frame of frames) {
      const mine = new URLSearchParams({
        theme_colour: query.get("theme_colour"),
        allow_registration: query.get("allow_registration"),
        scheme: frame.dataset.preview,
      });
      const address = `${location.pathname}/preview?${mine}`;
      if (frame.dataset.shown !== address) {
        frame.dataset.shown = address;
        frame.contentWindow.location.replace(address); // no entry in the history for each colour
      }
    }
  };

  const check = async () => {
    const mine = ++asked;
    let found;
    try {
      const answer = await fetch(`${form.dataset.check}?${typed()}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      found = await answer.json();
    } catch {
      form.elements.confirmed.value = ""; // then a page asks before anything is saved
      return;
    }
    if (mine !== asked) return; // an answer to what is not there any more
    for (const each of fields) tellFault(form.elements[each], found.faults[each], ["aria-live", "polite"]);
    name(found.faults.external_domain);
    document.getElementById("changes").innerHTML = found.changes; // our own template's
    form.elements.confirmed.value = found.changes ? "yes" : "";
    if (!found.faults.theme_colour) look();
  };

  const soon = () => {
    form.elements.confirmed.value = ""; // what is shown is not what is typed, until it was asked about
    clearTimeout(timer);
    timer = setTimeout(check, patience);
  };

  const name = (faulty) => {
    const shown = form.querySelector("[data-follows] [aria-label=Name]");
    const typed = faulty ? "" : form.elements.external_domain.value.trim();
    if (shown) shown.textContent = typed || "your hostname";
  };

  const whole = (raw) => {
    const digits = /^#(?:([0-9a-f]{6})|([0-9a-f])([0-9a-f])([0-9a-f]))$/i.exec(raw.trim());
    if (!digits) return "";
    const [, six, ...three] = digits;
    return `#${six || three.map((each) => each + each).join("")}`.toLowerCase();
  };

  if (form) {
    const picker = document.getElementById("theme_picker");
    const colour = form.elements.theme_colour;
    picker.hidden = false;
    picker.addEventListener("input", () => {
      colour.value = picker.value;
      soon();
    });
    colour.addEventListener("input", () => {
      picker.value = whole(colour.value) || picker.value;
    });
    form.addEventListener("input", () => {
      name();
      soon();
    });
    name();
    check();
  }
}
