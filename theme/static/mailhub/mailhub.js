// Comfort only: every page works without this file.
"use strict";

// Menus made of <details class="menu"> close on a click elsewhere and on Escape; "/" goes to the search box.
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const open = document.querySelector("details.menu[open]");
    closeMenus();
    open?.querySelector("summary").focus();
  }
  const typing = event.target.closest?.("input, textarea, select");
  const box = document.querySelector("#find");
  if (event.key === "/" && !typing && box && !event.ctrlKey && !event.metaKey && !event.altKey) {
    box.focus();
    event.preventDefault();
  }
});

// <button data-copy="text"> copies and says so; the text itself always stands beside it.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const word = button.querySelector("span");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    word.textContent = "Copied";
  } catch {
    word.textContent = "Select and copy it";
  }
});

// On a phone the tabs scroll sideways: the present one is brought into sight.
document.addEventListener("DOMContentLoaded", () => {
  for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
    tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 32;
  }
});

// Times are rendered in the server's zone; here they become the reader's: the exact time on hover, and whole dates.
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });
const brief = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
function localTimes(part) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf())) continue;
    time.title = exact.format(moment);
    if ("date" in time.dataset) time.textContent = brief.format(moment);
  }
}
document.addEventListener("DOMContentLoaded", () => localTimes(document));

// <div data-refresh="2"> inside #content: fetches the page every so many seconds and shows what changed, until the
// page comes back without the mark. Without JavaScript the page reloads itself by a <noscript> meta.
async function refresh() {
  const content = document.querySelector("#content");
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("#content");
    if (!fresh) return;
    const typing = content.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
    if (!typing && fresh.textContent !== content.textContent) {
      const place = [...content.querySelectorAll("a, button, summary")].indexOf(document.activeElement);
      content.replaceChildren(...document.adoptNode(fresh).childNodes);
      localTimes(content);
      if (place >= 0) content.querySelectorAll("a, button, summary")[place]?.focus();
    }
  } catch {
    // The server may be restarting: the next try finds it.
  }
  waitForChange();
}
function waitForChange() {
  const mark = document.querySelector("#content [data-refresh]");
  if (mark) setTimeout(refresh, mark.dataset.refresh * 1000);
}
document.addEventListener("DOMContentLoaded", waitForChange);
