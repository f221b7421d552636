// The frames of a captured track, one after the other, in whatever way the browser has for it.

/** Calls `take` with each frame as it comes and closes it afterwards. Resolves when the track has ended. */
export async function eachFrame(
  track: MediaStreamVideoTrack,
  take: (frame: VideoFrame) => void,
  signal: AbortSignal,
): Promise<void> {
  if ("MediaStreamTrackProcessor" in globalThis) return eachOf(track, take, signal);
  return eachPaintedFrame(track, take, signal);
}

/** The same for sound. */
export async function eachSound(
  track: MediaStreamAudioTrack,
  take: (data: AudioData) => void,
  signal: AbortSignal,
): Promise<void> {
  return eachOf(track, take, signal);
}

/** Whether captured sound can be read here. */
export function canReadSound(): boolean {
  return "MediaStreamTrackProcessor" in globalThis && "AudioEncoder" in globalThis;
}

async function eachOf<T extends VideoFrame | AudioData>(
  track: MediaStreamTrack,
  take: (data: T) => void,
  signal: AbortSignal,
): Promise<void> {
  const processor = new MediaStreamTrackProcessor({ track: track as MediaStreamVideoTrack });
  const reader = (processor.readable as unknown as ReadableStream<T>).getReader();
  signal.addEventListener("abort", () => void reader.cancel().catch(() => {}), { once: true });
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    try {
      if (!signal.aborted) take(value);
    } finally {
      value.close();
    }
  }
}

/** Browsers without MediaStreamTrackProcessor: a hidden <video> tells when it shows a new frame. */
async function eachPaintedFrame(
  track: MediaStreamTrack,
  take: (frame: VideoFrame) => void,
  signal: AbortSignal,
): Promise<void> {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream([track]);
  await video.play();
  const next = () => {
    if (signal.aborted || track.readyState === "ended") return;
    const frame = new VideoFrame(video);
    take(frame);
    frame.close();
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
  await new Promise((resolve) => {
    track.addEventListener("ended", resolve, { once: true });
    signal.addEventListener("abort", resolve, { once: true });
  });
  video.srcObject = null;
}
