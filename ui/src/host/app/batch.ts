// Messages of a relay as the app's process hands them over: each with a byte that says what it is (0 text, 1 media) and its
// length (u32, big endian) in front.

const TEXT = 0;
const HEAD_BYTES = 5;

/** The messages of a batch in their order. Media are copied out, so that each has a buffer of its own. */
export function* messagesOf(batch: ArrayBuffer): Generator<string | ArrayBuffer> {
  const view = new DataView(batch);
  let at = 0;
  while (at + HEAD_BYTES <= batch.byteLength) {
    const start = at + HEAD_BYTES;
    const end = start + view.getUint32(at + 1);
    if (end > batch.byteLength) return;
    const isText = view.getUint8(at) === TEXT;
    yield isText ? new TextDecoder().decode(new Uint8Array(batch, start, end - start)) : batch.slice(start, end);
    at = end;
  }
}
