// Which key does what. Pure.

export type KeyAction =
  | "toggle_play"
  | "toggle_mute"
  | "fullscreen"
  | "picture_in_picture"
  | "louder"
  | "quieter"
  | "quality";

export interface Key {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** What has the focus takes its own keys: buttons the space bar, sliders the arrows, text fields all. */
export type Focus = "none" | "button" | "slider" | "text";

export function actionOf(key: Key, focus: Focus): KeyAction | null {
  if (key.ctrlKey || key.metaKey || key.altKey || focus === "text") return null;
  switch (key.key.toLowerCase()) {
    case " ":
      return focus === "none" ? "toggle_play" : null;
    case "k":
      return "toggle_play";
    case "m":
      return "toggle_mute";
    case "f":
      return "fullscreen";
    case "i":
      return "picture_in_picture";
    case "q":
      return "quality";
    case "arrowup":
      return focus === "slider" ? null : "louder";
    case "arrowdown":
      return focus === "slider" ? null : "quieter";
    default:
      return null;
  }
}

/** What kind of focus an element is. */
export function focusOf(element: EventTarget | undefined): Focus {
  if (!(element instanceof HTMLElement)) return "none";
  if (element instanceof HTMLInputElement) return element.type === "range" ? "slider" : "text";
  if (element.isContentEditable || /^(TEXTAREA|SELECT)$/.test(element.tagName)) return "text";
  return /^(BUTTON|A|SUMMARY)$/.test(element.tagName) ? "button" : "none";
}
