/**
 * Keeps the server told where somebody is in a video, and how much they watched.
 * @module
 */

import { api } from "./api.js";

const REPORT_SECONDS = 15;
const STEP_SECONDS = 2; // a longer jump of the time is a jump of the person's

/**
 * Report what is watched: now and then, at each pause, at the end and when the person leaves. What could not be sent goes
 * with the next report.
 * @param {HTMLVideoElement} video
 * @param {{lectureId: string, signal: AbortSignal, onProgress: (reply: any) => void}} how `onProgress` gets each answer
 */
export function reportWatching(video, { lectureId, signal, onProgress }) {
  let last = 0;
  let watched = 0;
  let sending = false;
  async function report({ completed = false } = {}) {
    if (sending || (watched < 1 && !completed)) return;
    sending = true;
    const watchedSeconds = Math.floor(watched);
    watched -= watchedSeconds;
    const body = {
      lectureId,
      positionSeconds: Math.floor(completed ? 0 : video.currentTime),
      watchedSeconds,
      ...(completed ? { completed } : {}),
    };
    try {
      onProgress(await api.post("/progress/lecture", body));
    } catch {
      watched += watchedSeconds;
    } finally {
      sending = false;
    }
  }
  video.addEventListener(
    "timeupdate",
    () => {
      const step = video.currentTime - last;
      last = video.currentTime;
      if (step > 0 && step < STEP_SECONDS) watched += step;
      if (watched >= REPORT_SECONDS) report();
    },
    { signal },
  );
  video.addEventListener("seeking", () => (last = video.currentTime), { signal });
  video.addEventListener("pause", () => video.ended || report(), { signal });
  video.addEventListener("ended", () => report({ completed: true }), { signal });
  document.addEventListener("visibilitychange", () => document.hidden && report(), { signal });
  signal.addEventListener("abort", () => (video.pause(), report()));
}

/**
 * Begin where the person was, unless that is the very end.
 * @param {HTMLVideoElement} video
 * @param {number} seconds
 */
export function resumeAt(video, seconds) {
  if (seconds < 3) return;
  video.addEventListener(
    "loadedmetadata",
    () => {
      if (seconds < video.duration - 3) video.currentTime = seconds;
    },
    { once: true },
  );
}
