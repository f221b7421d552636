// The menu of a stream's pictures: automatic, or one by its size. A menu of radio items, for hands, keys and screen readers.

import { icon } from "./icons";
import { AUTOMATIC, type PictureChoice } from "./picture";
import type { RenditionFacts } from "./renditions";
import { automaticWords, pictureWords } from "./words";

export const QUALITY_MENU = `
<div class="quality" hidden>
  <button class="open" type="button" aria-haspopup="menu" aria-expanded="false" data-testid="quality">${icon("sliders")}</button>
  <div class="menu" role="menu" aria-label="Picture size" hidden></div>
</div>`;

interface Item {
  choice: PictureChoice;
  name: string;
  detail: string;
  checked: boolean;
}

export class QualityMenu {
  #facts: RenditionFacts | null = null;
  #shown = "";

  constructor(
    private readonly root: HTMLElement,
    private readonly chosen: (choice: PictureChoice) => void,
    signal: AbortSignal,
  ) {
    const during = { signal };
    this.#button.addEventListener("click", () => this.toggle(), during);
    root.addEventListener("keydown", (event) => this.#key(event), during);
    root.addEventListener("focusout", (event) => this.#left(event), during);
    // Engines that don't focus a button that is clicked have no focus to lose.
    document.addEventListener("pointerdown", (event) => this.#elsewhere(event), during);
    this.#menu.addEventListener("click", (event) => this.#clicked(event), during);
  }

  get isOpen(): boolean {
    return !this.#menu.hidden;
  }

  /** Nothing is shown where there is nothing to choose. */
  show(facts: RenditionFacts | null): void {
    this.#facts = facts;
    this.root.hidden = facts === null;
    if (!facts) {
      this.#close(false);
      return;
    }
    const items = itemsOf(facts);
    const described = JSON.stringify(items);
    if (described === this.#shown) return;
    this.#shown = described;
    const words = `Picture size: ${items.find(({ checked }) => checked)?.name ?? ""}`;
    this.#button.title = `${words} (q)`;
    this.#button.setAttribute("aria-label", words);
    this.root.toggleAttribute("data-reduced", facts.reduced);
    this.#fill(items);
  }

  toggle(): void {
    if (this.isOpen) this.#close(true);
    else if (this.#facts) {
      this.#menu.hidden = false;
      this.#button.setAttribute("aria-expanded", "true");
      this.#focus(Math.max(0, this.#checked));
    }
  }

  /** Rewrites what differs, so that the focus stays where it is. */
  #fill(items: Item[]): void {
    const before = this.#items;
    if (before.length !== items.length) {
      const focused = before.some((item) => item.matches(":focus"));
      this.#menu.replaceChildren(...items.map(() => newItem()));
      if (focused) this.#focus(0);
    }
    items.forEach((item, n) => {
      const element = this.#items[n];
      if (!element) return;
      element.setAttribute("aria-checked", String(item.checked));
      element.dataset.choice = JSON.stringify(item.choice);
      const [name, detail] = element.querySelectorAll("span");
      if (name) name.textContent = item.name;
      if (detail) detail.textContent = item.detail;
    });
  }

  #key(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!this.isOpen) {
      if (event.target !== this.#button || step === undefined) return;
      this.toggle();
    } else if (event.key === "Escape") this.#close(true);
    else if (event.key === "Tab") this.#close(false);
    else if (step !== undefined) this.#focus(this.#focused + step);
    else if (event.key === "Home") this.#focus(0);
    else if (event.key === "End") this.#focus(-1);
    if (event.key === "Tab" || event.key === "Enter" || event.key === " ") return;
    // The player's own keys are not meant.
    event.stopPropagation();
    event.preventDefault();
  }

  #clicked(event: Event): void {
    const item = event.target instanceof Element ? event.target.closest<HTMLElement>("[role=menuitemradio]") : null;
    if (!item) return;
    this.chosen(JSON.parse(item.dataset.choice ?? JSON.stringify(AUTOMATIC)) as PictureChoice);
    this.#close(true);
  }

  #left(event: FocusEvent): void {
    const to = event.relatedTarget;
    if (to instanceof Node && !this.root.contains(to)) this.#close(false);
  }

  #elsewhere(event: Event): void {
    if (this.isOpen && !event.composedPath().includes(this.root)) this.#close(false);
  }

  #close(focusButton: boolean): void {
    if (!this.isOpen) return;
    this.#menu.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    if (focusButton) this.#button.focus();
  }

  #focus(index: number): void {
    const items = this.#items;
    items[(index + items.length) % items.length]?.focus();
  }

  get #focused(): number {
    return this.#items.findIndex((item) => item.matches(":focus"));
  }

  get #checked(): number {
    return this.#items.findIndex((item) => item.getAttribute("aria-checked") === "true");
  }

  get #items(): HTMLElement[] {
    return [...this.#menu.querySelectorAll<HTMLElement>("[role=menuitemradio]")];
  }

  get #button(): HTMLElement {
    return this.root.querySelector(".open") as HTMLElement;
  }

  get #menu(): HTMLElement {
    return this.root.querySelector(".menu") as HTMLElement;
  }
}

function itemsOf({ pictures, chosen, shown, reduced }: RenditionFacts): Item[] {
  const now = pictures.find(({ track }) => track === shown);
  const byItself = chosen === "automatic";
  const detail = byItself && now ? automaticWords(now, reduced) : "As your connection allows";
  const sizes = pictures.map((picture) => {
    return {
      choice: { height: picture.height },
      name: pictureWords(picture),
      detail: "",
      checked: picture.track === chosen,
    };
  });
  return [{ choice: AUTOMATIC, name: "Automatic", detail, checked: byItself }, ...sizes];
}

function newItem(): HTMLElement {
  const item = document.createElement("button");
  item.type = "button";
  item.tabIndex = -1;
  item.setAttribute("role", "menuitemradio");
  item.innerHTML = '<span class="name"></span><span class="hint"></span>';
  return item;
}
