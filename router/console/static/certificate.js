// The verdict about a certificate as soon as its files are chosen, dropped or pasted, before anything is stored.
"use strict";
{
  const form = document.querySelector("form[data-check]");
  const patience = 500; // milliseconds without a key
  let timer = 0;
  let asked = 0;

  const tell = (name, fault) => tellFault(form.elements[name], fault, ["role", "alert"]);

  const check = async () => {
    const mine = ++asked;
    const chosen = form.elements.files.files.length > 0 || form.elements.pasted.value.trim() !== "";
    let found = { faults: {}, verdict: "" };
    if (chosen) {
      try {
        const answer = await fetch(form.dataset.check, { method: "POST", body: new FormData(form) });
        const large = { files: { code: "too_large", sentence: form.dataset.tooLarge } };
        found = answer.status === 413 ? { faults: large, verdict: "" } : await answer.json();
      } catch {
        return; // sending the form tells
      }
    }
    if (mine !== asked) return; // an answer to what is not chosen any more
    document.querySelector(".summary")?.remove();
    for (const name of ["files", "pasted", "passphrase"]) tell(name, found.faults[name] ?? (name === "files" && found.faults.form));
    document.getElementById("verdict").innerHTML = found.verdict; // our own template's
  };

  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(check, patience);
  };

  if (form) {
    const drop = form.querySelector(".drop");
    form.elements.files.addEventListener("change", check);
    form.elements.pasted.addEventListener("input", soon);
    form.elements.passphrase.addEventListener("input", soon);
    form.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    form.addEventListener("dragleave", () => drop.classList.remove("over"));
    form.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer.files.length > 0) {
        form.elements.files.files = event.dataTransfer.files;
        check();
      }
    });
  }
}
