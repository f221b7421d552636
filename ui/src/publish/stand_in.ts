// What viewers see while nothing is shared: a card in place of the last picture, which the broadcaster may have closed for a reason.

/** The card as a frame of this size. */
export function standIn(width: number, height: number): VideoFrame | undefined {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) return undefined;
  const unit = Math.min(width / 16, height / 9);
  context.fillStyle = "#0f1014";
  context.fillRect(0, 0, width, height);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = "#ff5b4a";
  context.fillRect(width / 2 - 0.62 * unit, height / 2 - 2.1 * unit, 0.42 * unit, 1.4 * unit);
  context.fillRect(width / 2 + 0.2 * unit, height / 2 - 2.1 * unit, 0.42 * unit, 1.4 * unit);
  context.fillStyle = "#f4f2ee";
  context.font = `700 ${unit}px system-ui, sans-serif`;
  context.fillText("One moment", width / 2, height / 2 + 0.4 * unit);
  context.fillStyle = "#a8abb5";
  context.font = `400 ${0.55 * unit}px system-ui, sans-serif`;
  context.fillText("Nothing is shared right now.", width / 2, height / 2 + 1.6 * unit);
  return new VideoFrame(canvas, { timestamp: 0 });
}
