import { describe, expect, it } from "vitest";
import { needsCarrying } from "./transport";

describe("which relays are reached through the app's process", () => {
  it("plain ones of the network", () => {
    for (const url of [
      "ws://192.168.1.4:5001/ws",
      "ws://relay.lan/ws",
      "ws://[fe80::1]:5001/ws",
      "ws://127.0.0.1.example/",
    ])
      expect(needsCarrying(url), url).toBe(true);
  });

  it("not encrypted ones, nor those on this machine, nor what is no address", () => {
    for (const url of [
      "wss://relay.lan/ws",
      "ws://localhost:5001/ws",
      "ws://127.0.0.1:5001/ws",
      "ws://127.4.5.6/ws",
      "ws://[::1]:5001/ws",
      "nonsense",
    ])
      expect(needsCarrying(url), url).toBe(false);
  });
});
