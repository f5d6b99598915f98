// What every page does better with a script than without: a button that copies.
"use strict";
for (const value of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break; // the value can be selected as a whole by a click
  const button = document.createElement("button");
  button.type = "button";
  button.className = "second";
  const told = document.createElement("span");
  told.setAttribute("aria-live", "polite");
  told.textContent = "Copy";
  button.append(told);
  const label = value.getAttribute("aria-label");
  if (label) {
    const about = document.createElement("span");
    about.className = "unseen";
    about.textContent = ` ${label.toLowerCase()}`;
    button.append(about);
  }
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(value.textContent);
      told.textContent = "Copied";
    } catch {
      told.textContent = "Select it and copy";
      getSelection().selectAllChildren(value);
    }
    setTimeout(() => { told.textContent = "Copy"; }, 2000);
  });
  value.after(button);
}
