// Going live from the app: its process captures, encodes and sends; the page only looks on.
import { Channel } from "@tauri-apps/api/core";
import type { GoLive } from "../../protocol/generated/GoLive";
import type { RunningBroadcast } from "../../protocol/generated/RunningBroadcast";
import type { Visibility } from "../../protocol/generated/Visibility";
import type { Broadcast, BroadcastStatus } from "../broadcast";
import type { AppBroadcaster } from "../host";
import type { SourceInfo } from "../source";
import { call } from "./call";

export function appBroadcaster(): AppBroadcaster {
  return {
    sources: () => call<SourceInfo[]>("list_sources"),
    preview: async (choice) =>
      new Blob([await call<ArrayBuffer>("preview_source", { choice })], { type: "image/jpeg" }),
    start: async (options) => {
      const running = await call<RunningBroadcast>("start_broadcast", { options: options satisfies GoLive });
      return new AppBroadcast(running, options.visibility);
    },
    current: async () => {
      const running = await call<RunningBroadcast | null>("current_broadcast");
      return running ? new AppBroadcast(running) : undefined;
    },
  };
}

class AppBroadcast implements Broadcast {
  readonly id: string;
  readonly title: string;
  readonly notices: string[] = [];
  /** Unknown to a window that found the broadcast running. */
  readonly visibility: Visibility | undefined;
  status: BroadcastStatus;
  #listeners = new Set<(status: BroadcastStatus) => void>();

  constructor({ title, status }: RunningBroadcast, visibility?: Visibility) {
    this.visibility = visibility;
    this.id = status.stream;
    this.title = title;
    this.status = status;
    const channel = new Channel<BroadcastStatus>((newest) => this.#set(newest));
    void call("broadcast_status", { channel });
  }

  onStatus(listener: (status: BroadcastStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  removeViewer(viewer: string): Promise<void> {
    return call("remove_viewer", { viewer });
  }

  async stop(): Promise<void> {
    await call("stop_broadcast");
    if (this.status.state !== "ended") this.#set({ ...this.status, state: "ended", sentence: "You ended the stream." });
  }

  #set(status: BroadcastStatus): void {
    this.status = status;
    for (const listener of this.#listeners) listener(status);
  }
}
