import { expect, it } from "vitest";
import { parseToBroadcaster, parseToViewer } from "./messages";

const track = { track: 1, kind: "video", codec: "avc1.4D401F", width: 1280, height: 720, frame_rate: 30 };

it("reads every message of a viewer", () => {
  const messages = [
    { type: "watching", stream: "a", tracks: [track], selected: [1] },
    { type: "skipped", track: 1, chunks: 12 },
    { type: "viewers", count: 3 },
    { type: "broadcaster", present: false },
    { type: "move", within_ms: 3000 },
    { type: "stream_ended" },
    { type: "error", code: "ticket_expired", message: "late" },
  ];
  for (const message of messages) {
    expect(parseToViewer(JSON.stringify({ ...message, later_field: 1 }))).toMatchObject({ kind: "message", message });
  }
});

it("reads every message of a broadcaster", () => {
  const messages = [
    { type: "stream_registered", stream: "a", relay: "r" },
    { type: "received", chunks: 1, bytes: 2 },
    { type: "key_frame_wanted", track: 1 },
    { type: "viewers", count: 3 },
    { type: "audience", viewers: [{ viewer: "00abcdef01234567", since_ms: 5 }] },
    { type: "error", code: "superseded", message: "m" },
  ];
  for (const message of messages) {
    expect(parseToBroadcaster(JSON.stringify(message))).toEqual({ kind: "message", message });
  }
});

it("ignores types of a later version", () => {
  expect(parseToViewer('{"type":"applause"}')).toEqual({ kind: "unknown" });
  expect(parseToViewer('{"type":"toString"}')).toEqual({ kind: "unknown" });
});

it.each([
  "",
  "nonsense",
  "null",
  "[]",
  "7",
  "{}",
  '{"type":7}',
  '{"type":"viewers"}',
  '{"type":"viewers","count":"3"}',
  '{"type":"watching","stream":"a","tracks":[{}],"selected":[1]}',
  '{"type":"watching","stream":"a","tracks":null,"selected":[1]}',
])("calls %j malformed instead of throwing", (text) => {
  expect(parseToViewer(text).kind).toBe("malformed");
});
