/**
 * A quiet ring, made of two tones. It is silent until the person has touched the page: browsers allow no sound before.
 * @module
 */

const EVERY_MS = 2500;
const TONES = [659.3, 784];
const LOUDNESS = 0.06;

let context = /** @type {AudioContext | null} */ (null);
let timer = 0;

/** Ring until `stopRinging`. */
export function startRinging() {
  if (timer || !navigator.userActivation?.hasBeenActive) return;
  ring();
  timer = setInterval(ring, EVERY_MS);
}

/** Be quiet. */
export function stopRinging() {
  clearInterval(timer);
  timer = 0;
}

function ring() {
  context ??= new AudioContext();
  TONES.forEach((frequency, index) => beep(frequency, context.currentTime + index * 0.28));
}

function beep(frequency, start) {
  const tone = new OscillatorNode(context, { frequency });
  const volume = new GainNode(context, { gain: 0 });
  volume.gain.setValueAtTime(0, start);
  volume.gain.linearRampToValueAtTime(LOUDNESS, start + 0.03);
  volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.26);
  tone.connect(volume).connect(context.destination);
  tone.start(start);
  tone.stop(start + 0.28);
}
