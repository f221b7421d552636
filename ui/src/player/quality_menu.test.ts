// @vitest-environment jsdom
import { beforeEach, describe, expect, it } from "vitest";
import type { TrackInfo } from "../protocol/messages";
import type { PictureChoice } from "./picture";
import { QUALITY_MENU, QualityMenu } from "./quality_menu";
import type { RenditionFacts } from "./renditions";

const picture = (track: number, height: number) => ({ track, height, width: (height * 16) / 9 }) as TrackInfo;
const facts: RenditionFacts = {
  pictures: [picture(1, 720), picture(3, 360)],
  chosen: "automatic",
  shown: 1,
  reduced: false,
};
let root: HTMLElement;
let chosen: PictureChoice[];
let menu: QualityMenu;

beforeEach(() => {
  document.body.innerHTML = QUALITY_MENU;
  root = document.querySelector(".quality") as HTMLElement;
  chosen = [];
  menu = new QualityMenu(root, (choice) => chosen.push(choice), new AbortController().signal);
});

const button = () => root.querySelector(".open") as HTMLButtonElement;
const items = () => [...root.querySelectorAll<HTMLElement>("[role=menuitemradio]")];
const checked = () => items().map((item) => item.getAttribute("aria-checked"));
function press(key: string): boolean {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
  document.activeElement?.dispatchEvent(event);
  return event.defaultPrevented;
}

describe("the menu of pictures", () => {
  it("is not there where there is nothing to choose", () => {
    expect(root.hidden).toBe(true);
    menu.show(facts);
    expect(root.hidden).toBe(false);
    menu.show(null);
    expect(root.hidden).toBe(true);
  });

  it("names the sizes, and what comes by itself", () => {
    menu.show(facts);
    expect(items().map((item) => item.textContent)).toEqual(["AutomaticNow 1280 × 720", "1280 × 720", "640 × 360"]);
    expect(button().getAttribute("aria-label")).toBe("Picture size: Automatic");
    menu.show({ ...facts, shown: 3, reduced: true });
    expect(items()[0]?.textContent).toContain("640 × 360: your connection is slow");
    menu.show({ ...facts, chosen: 3 });
    expect([checked(), button().getAttribute("aria-label")]).toEqual([
      ["false", "false", "true"],
      "Picture size: 640 × 360",
    ]);
  });

  it("is opened, walked through and left by keys, and gives the focus back", () => {
    menu.show(facts);
    button().focus();
    expect(press("ArrowDown")).toBe(true);
    expect([menu.isOpen, document.activeElement, button().getAttribute("aria-expanded")]).toEqual([
      true,
      items()[0],
      "true",
    ]);
    press("ArrowUp");
    expect(document.activeElement).toBe(items()[2]);
    press("Home");
    press("ArrowDown");
    expect(document.activeElement).toBe(items()[1]);
    // Loud and quiet, mute and pause are keys of the player, not of an open menu.
    expect(press("m")).toBe(true);
    press("Escape");
    expect([menu.isOpen, document.activeElement, chosen]).toEqual([false, button(), []]);
  });

  it("hands on what is chosen, and closes", () => {
    menu.show(facts);
    menu.toggle();
    items()[2]?.click();
    menu.toggle();
    items()[0]?.click();
    expect([chosen, menu.isOpen]).toEqual([[{ height: 360 }, "automatic"], false]);
  });

  it("keeps the focus while the figures in it change", () => {
    menu.show(facts);
    menu.toggle();
    press("End");
    menu.show({ ...facts, shown: 3, reduced: true });
    expect(document.activeElement).toBe(items()[2]);
  });

  it("closes when the rest of the page is touched", () => {
    menu.show(facts);
    menu.toggle();
    document.body.dispatchEvent(new Event("pointerdown", { bubbles: true }));
    expect(menu.isOpen).toBe(false);
  });
});
