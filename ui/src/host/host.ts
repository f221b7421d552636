// What the pages need of the place they run in. Views talk to this and never ask where they are in any other way.
import type { Directory } from "../directory/directory";
import type { Visibility } from "../protocol/generated/Visibility";
import type { OpenTransport } from "../transport/transport";
import type { Broadcast } from "./broadcast";
import type { AppQuality, SoundChoice, SourceChoice, SourceInfo } from "./source";

export interface Host {
  kind: "browser" | "app";
  directory: Directory;
  /** Connects to a relay. */
  openTransport: OpenTransport;
  /** The address to give to people who should watch. */
  watchLink(id: string): string;
  /** Puts text on the clipboard; rejects when the system does not allow it. */
  copy(text: string): Promise<void>;
  /** The desktop app's own broadcaster; pages in a browser have the one in `publish/`. */
  broadcaster?: AppBroadcaster;
  pass: PassMemory;
  settings?: AppSettings;
}

/** Keeps what lets this person go live at a directory that asks for a pass. */
export interface PassMemory {
  /** Whether there is one for this directory. */
  known(): Promise<boolean>;
  /** Keeps another; rejects with a sentence when it can't be one. */
  keep(pass: string): Promise<void>;
  /** The one that is kept, for a page that goes live itself; empty for none. The app's process adds its own. */
  text(): string;
}

/** What a person has chosen in the app before going live. */
export interface AppBroadcastOptions {
  title: string;
  visibility: Visibility;
  /** What viewers must know, where the visibility is `password`. */
  password: string | null;
  /** End to end. */
  encrypt: boolean;
  source: SourceChoice;
  sound: SoundChoice;
  quality: AppQuality;
  /** A second, smaller picture for viewers on slow connections. */
  small_picture: boolean;
}

export interface AppBroadcaster {
  /** What can be shown on this machine, best first. */
  sources(): Promise<SourceInfo[]>;
  /** One small picture of what a source shows now; rejects with a sentence. */
  preview(source: SourceChoice): Promise<Blob>;
  /** Goes live; rejects with a sentence for people. */
  start(options: AppBroadcastOptions): Promise<Broadcast>;
  /** The broadcast that runs already, for a window that was opened again. */
  current?(): Promise<Broadcast | undefined>;
}

export interface AppSettings {
  /** The directory's address. */
  directory(): Promise<string>;
  /** Changes it; rejects with a sentence when it is no address. The app starts its page anew afterwards. */
  setDirectory(address: string): Promise<void>;
}

/** The host of this page. The app's part is loaded in the app alone. */
export async function openHost(): Promise<Host> {
  if ("__TAURI_INTERNALS__" in globalThis) return (await import("./app")).appHost();
  return (await import("./browser")).browserHost();
}
