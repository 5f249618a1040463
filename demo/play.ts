/** The play of the demonstration: what befalls the collector and the server, in which order, and for how long. */

import type { Collector } from "../exporters/testing/collector.ts";

/** How long the whole play takes when nobody says otherwise, in seconds. */
export const PLAY_SECONDS_DEFAULT = 40;

/** Shorter than this the circuit could not open and close again in every scene; longer than this nobody watches. */
export const PLAY_SECONDS_MIN = 15;
export const PLAY_SECONDS_MAX = 600;

/** Who is on the stage. */
export interface Stage {
  readonly collector: Collector;
  readonly server: { killAndRestart(): Promise<void> };
}

/** One scene: how things are from its beginning to its end. */
export interface Scene {
  /** What a person is told. */
  readonly title: string;
  /** Its part of the whole play, from 0 to 1. All parts add up to 1. */
  readonly share: number;
  readonly begin: (stage: Stage) => Promise<void>;
}

/** How long the overloaded collector asks to be left alone, in seconds. */
const RETRY_AFTER_SECONDS = 2;

export const SCENES: readonly Scene[] = [
  {
    title: "the collector is healthy",
    share: 0.1,
    begin: ({ collector }) => collector.recover(),
  },
  {
    title: "the collector is down: connections are refused",
    share: 0.2,
    begin: ({ collector }) => collector.refuse(),
  },
  {
    title: "and now the server is killed (SIGKILL), and starts again on the same folder",
    share: 0.15,
    begin: ({ server }) => server.killAndRestart(),
  },
  {
    title: "the collector hangs: it accepts and never answers",
    share: 0.15,
    begin: async ({ collector }) => {
      await collector.recover();
      collector.hang();
    },
  },
  {
    title: `the collector is overloaded: 503 with Retry-After: ${RETRY_AFTER_SECONDS}`,
    share: 0.15,
    begin: async ({ collector }) => {
      await collector.recover();
      collector.respond(503, { headers: { "retry-after": String(RETRY_AFTER_SECONDS) } });
    },
  },
  {
    title: "the collector is back",
    share: 0.25,
    begin: ({ collector }) => collector.recover(),
  },
];

/** The scene on stage `elapsedMs` after the beginning, and its number counted from 0. */
export function sceneAt(elapsedMs: number, playMs: number): number {
  let endsAtMs = 0;
  for (const [index, scene] of SCENES.entries()) {
    endsAtMs += scene.share * playMs;
    if (elapsedMs < endsAtMs) return index;
  }
  return SCENES.length - 1;
}
