import { expect, it } from "vitest";
import { opensSealed } from "./secure_address";

it.each([
  ["https://live.example/view/", true],
  ["http://localhost:5000/view/", true],
  ["http://127.0.0.1:5000/view/", true],
  ["http://[::1]:5000/view/", true],
  ["http://192.168.1.20:5000/view/", false],
  ["http://live.example/view/", false],
  ["http://127.0.0.1.example/", false],
  ["nonsense", false],
])("%s opens encrypted streams: %s", (address, opens) => {
  expect(opensSealed(address)).toBe(opens);
});
