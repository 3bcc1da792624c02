"use strict";
// Shows what changes without a reload. Without it, the page says to reload.
(() => {
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  const title = document.title;
  const page = location.pathname.replace(/\/+$/, "");
  const button = () => document.getElementById("test");
  let shown = live.innerHTML.trim();
  let ready = 0; // when the button may be used again, by performance.now()
  let pending = 0; // the timer of a test without an event

  // count shows how long the button has to wait.
  function count() {
    const b = button();
    const left = Math.ceil((ready - performance.now()) / 1000);
    if (!b || !ready) return;
    if (left > 0) {
      b.textContent = `Test again in ${left} s`;
      return;
    }
    ready = 0;
    b.textContent = "Test again";
    b.disabled = false;
    if (document.activeElement === document.body && b.dataset.focus) b.focus({preventScroll: true});
  }

  // conclusion is what a reader of the screen hears.
  const conclusion = () =>
    [...live.querySelectorAll("#all h2, #all p")].map((e) => e.lastChild.textContent.trim()).join(". ");

  // settle does what is to be done after live has got new contents.
  function settle() {
    const b = button();
    ready = b && b.dataset.wait ? performance.now() + 1000 * Number(b.dataset.wait) : 0;
    const mark = live.querySelector("#all .mark");
    document.title = mark ? `${mark.textContent} ${title}` : title;
  }

  // show replaces what changes, and nothing where that is nothing: somebody may be copying a line. The keyboard
  // stays where it was.
  function show(html) {
    const parsed = document.createElement("template");
    parsed.innerHTML = html;
    if (parsed.innerHTML.trim() === shown && !pending) return;
    clearTimeout(pending);
    pending = 0;
    shown = parsed.innerHTML.trim();
    const before = conclusion();
    const tested = document.activeElement === button() || button()?.dataset.focus;
    live.replaceChildren(parsed.content);
    const b = button();
    if (tested && b) {
      b.dataset.focus = "yes";
      b.focus({preventScroll: true});
    }
    settle();
    if (conclusion() !== before) said.textContent = conclusion();
  }

  const stream = new EventSource(page + "/events");
  stream.onopen = () => document.documentElement.classList.add("live");
  stream.onerror = () => document.documentElement.classList.remove("live");
  stream.onmessage = (event) => show(event.data);

  live.addEventListener("submit", async (event) => {
    const form = event.target;
    if (stream.readyState !== EventSource.OPEN) return; // the form works by itself
    event.preventDefault();
    const b = button();
    b.dataset.focus = "yes";
    b.disabled = true;
    b.textContent = "Testing …";
    try {
      const answer = await fetch(form.action, {method: "POST", headers: {"X-Requested-With": "fetch"}});
      if (!answer.ok) throw new Error(answer.statusText);
      pending = setTimeout(() => location.reload(), 15000); // an event comes before
    } catch {
      form.submit();
    }
  });

  settle();
  setInterval(count, 250);
})();
