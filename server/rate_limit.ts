import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { type Clock, systemClock } from "../core/clock.ts";
import { addressKey, type AddressRange, type IpAddress, isWithin, parseIp } from "./address.ts";
import type { Rate } from "./setting_kinds.ts";

/** How a {@linkcode RateLimit} is made. */
export interface RateLimitOptions {
  /** How often each client may come. */
  readonly rate: Rate;
  /** Clients that are never limited. @default {none: loopback is limited too} */
  readonly trusted?: readonly AddressRange[];
  /** Clients that are remembered one by one, 1 to 1 000 000; further ones share buckets. @default {10_000} */
  readonly clientCountMax?: number;
  /** Where time comes from. @default {systemClock} */
  readonly clock?: Clock;
  /** Decides which clients share a bucket, so that nobody can choose to share somebody's. @default {a random number} */
  readonly seed?: number;
}

/** Whether a request may pass, and if not, when to come back. */
export type RateVerdict = { readonly allowed: true } | { readonly allowed: false; readonly retryAfterSeconds: number };

/** What the clients of a scrape page may cost together: with some 400 bytes for each, 4 MB. */
const CLIENT_COUNT_MAX = 10_000;

/** The buckets that clients beyond the bound share: few enough to be nothing, enough that neighbours are rare. */
const SHARED_BUCKET_COUNT = 1024;

/** One customer of a network has at least a /64: its single addresses are as many as it likes. */
const IPV6_CLIENT_PREFIX_BITS = 64;

const ALLOWED: RateVerdict = { allowed: true };

/**
 * Lets each client pass so often in a window that begins with its first request. Memory is bounded: clients are
 * remembered until their window ends, up to `clientCountMax`; those who come while all places are taken share buckets,
 * so that they can exhaust each other's allowance but nobody else's.
 *
 * The limiter counts; the windows are kept here. Its own would cost a timer for each client, which is most of the
 * memory, and they would move with the wall clock.
 */
export class RateLimit {
  readonly #limiter: RateLimiterMemory | undefined;
  readonly #windowMs: number;
  readonly #trusted: readonly AddressRange[];
  readonly #clientCountMax: number;
  readonly #clock: Clock;
  readonly #seed: number;
  /** When the window of each remembered client ends. All windows are equally long, so the oldest ends first. */
  readonly #clientWindows = new Map<string, number>();
  /** The same for each shared bucket that is in use. */
  readonly #sharedWindows = new Map<string, number>();

  /**
   * Makes a limit under which nobody has come yet.
   *
   * @param options The rate, and who is exempt from it.
   */
  constructor(options: RateLimitOptions) {
    const { rate } = options;
    // Without a duration the limiter keeps its counts until they are deleted, and sets no timer.
    this.#limiter = rate === "off"
      ? undefined
      : new RateLimiterMemory({ points: rate.count, duration: 0, keyPrefix: "" });
    this.#windowMs = rate === "off" ? 0 : rate.periodSeconds * 1000;
    this.#trusted = options.trusted ?? [];
    this.#clientCountMax = options.clientCountMax ?? CLIENT_COUNT_MAX;
    this.#clock = options.clock ?? systemClock;
    this.#seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
  }

  /** How many clients are remembered by themselves. */
  get clientCount(): number {
    return this.#clientWindows.size;
  }

  /** Counts one request of a client. All requests without an address are one client. */
  async consume(client: IpAddress | undefined): Promise<RateVerdict> {
    if (this.#limiter === undefined || client !== undefined && isWithin(client, this.#trusted)) return ALLOWED;
    const key = client === undefined ? "unknown" : addressKey(client, IPV6_CLIENT_PREFIX_BITS);
    const nowMs = this.#clock.nowMs();
    this.#forgetEnded(this.#clientWindows, nowMs);
    const remembered = this.#clientWindows.has(key) || this.#clientWindows.size < this.#clientCountMax;
    if (remembered) return await this.#count(key, this.#clientWindows, nowMs);
    this.#forgetEnded(this.#sharedWindows, nowMs);
    return await this.#count(`shared ${hash(key, this.#seed) % SHARED_BUCKET_COUNT}`, this.#sharedWindows, nowMs);
  }

  async #count(bucket: string, windows: Map<string, number>, nowMs: number): Promise<RateVerdict> {
    const endsAtMs = windows.get(bucket) ?? nowMs + this.#windowMs;
    windows.set(bucket, endsAtMs);
    try {
      await this.#limiter!.consume(bucket);
      return ALLOWED;
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      return { allowed: false, retryAfterSeconds: Math.ceil((endsAtMs - nowMs) / 1000) };
    }
  }

  #forgetEnded(windows: Map<string, number>, nowMs: number): void {
    for (const [bucket, endsAtMs] of windows) {
      if (endsAtMs > nowMs) break;
      windows.delete(bucket);
      void this.#limiter?.delete(bucket);
    }
  }
}

/**
 * Whose request it is: the peer, or, if the peer is a trusted proxy, the last address in `X-Forwarded-For` that is not
 * one. What stands to the left of it was written by the client itself and proves nothing.
 *
 * @param peer The address at the other end of the connection.
 * @param forwardedFor The header, all of them joined by commas.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  trustedProxies: readonly AddressRange[],
): IpAddress | undefined {
  let client = peer === undefined ? undefined : parseIp(peer);
  for (const hop of (forwardedFor ?? "").split(",").reverse()) {
    if (client === undefined || !isWithin(client, trustedProxies)) break;
    const address = parseIp(withoutPort(hop.trim()));
    if (address === undefined) break;
    client = address;
  }
  return client;
}

/** Some proxies write `192.0.2.1:5678` and `[2001:db8::1]:5678`. */
function withoutPort(hop: string): string {
  return hop.replace(/^(\[[^\]]*\]|[\d.]+):\d{1,5}$/, "$1");
}

/** FNV-1a over the seed and the text: quick, and spread well enough for buckets. */
function hash(text: string, seed: number): number {
  let value = (0x811c9dc5 ^ seed) >>> 0;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return value;
}
