/**
 * Light or dark, before anything is drawn: as the system has it, unless the person chose. No module, so that it comes first.
 */
{
  const KEY = "skillforge.theme";
  const apply = (choice) => {
    if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
    else delete document.documentElement.dataset.theme;
  };
  window.theme = {
    get choice() {
      return localStorage.getItem(KEY) ?? "auto";
    },
    set choice(value) {
      localStorage.setItem(KEY, value);
      apply(value);
    },
  };
  apply(localStorage.getItem(KEY));
}
