// The worker's side of the metronome: the first message says how often to tick.
self.onmessage = ({ data }: MessageEvent<number>) => {
  setInterval(() => self.postMessage(0), data);
};
