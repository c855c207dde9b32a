//! Getting sealed bytes from the hub (docs/wire.md §1). The only module that knows MoQ; knows no keys but the token.

import { Announce, Broadcast, Connection, Path, Time, type Track } from "@moq/net";
import { type Bytes, toHex } from "./bytes.ts";
import { Feed } from "./feed.ts";
import type { Link } from "./link.ts";

export const TRACKS = ["session", "manifest", "video", "event", "bell"] as const;
export type TrackName = (typeof TRACKS)[number];

export type CarriageEvent =
  | { kind: "connecting" }
  | { kind: "connected" }
  /** `code` and `reason` as the hub closed with, where it did. A next attempt follows by itself. */
  | { kind: "disconnected"; code: number | undefined; reason: string }
  /** A session's broadcast is there (`present`), or gone. */
  | { kind: "session"; id: string; present: boolean }
  | { kind: "object"; session: string; track: TrackName; group: number; index: number; bytes: Bytes }
  /** No more objects of the group will come. */
  | { kind: "end"; session: string; track: TrackName; group: number };

/** Where sealed bytes come from: the hub, or a fake camera in development. */
export interface Carriage {
  readonly events: AsyncIterable<CarriageEvent>;
  /** Starts reading all tracks of a session. Nothing happens if it is being read. */
  follow(session: string): void;
  unfollow(session: string): void;
  /** Tries to connect now instead of after the current wait; leaves a connection that is there alone. */
  retry(): void;
  /** Gives up the connection that is there and makes another. */
  reconnect(): void;
}

/** Where recordings come from: the hub's store, or a fake one in development. */
export interface Store {
  /** Recordings of the camera are announced; `undefined` while the hub may yet say so. */
  readonly kept: boolean | undefined;
  /**
   * The objects of one group below `store/ALIAS`, or of one of its sessions. Rejects with a {@link FetchError}; `most` is the most bytes that
   * are taken.
   */
  fetch(session: string | undefined, track: string, group: number, most: number): Promise<Bytes[]>;
}

/** Why a group did not come. */
export class FetchError extends Error {
  constructor(readonly why: "offline" | "absent" | "timeout" | "too-large" | "unsupported") {
    super(why);
  }
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 4_000;
/** After the hub refused the token: another try will rarely help. */
const REFUSED_WAIT_MS = 15_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** A connection that held for so long was a good one: the next wait is the first again. */
const GOOD_AFTER_MS = 5_000;
/** Wire versions offered, best first. All of them carry a group on one stream. */
const PROTOCOLS = ["moq-lite-05", "moq-lite-04", "moq-lite-03"];
/**
 * How far a group may fall behind the newest before its rest is given up. Not zero, or the last pictures of an epoch are lost whenever
 * the next keyframe overtakes them. The records are small and few: they are waited for.
 */
const PATIENCE_MS = { session: 60_000, manifest: 3_000, video: 150, event: 3_000, bell: 3_000 };
/** A subscription that ends while its broadcast stays is opened again after this. */
const RESUBSCRIBE_MS = 500;

/** A hub says which recordings it has right after connecting. */
const ANNOUNCED_MS = 2_500;
/** From one object of an answer to the next. */
const FETCH_TIMEOUT_MS = 8_000;
/** Behind what is watched live. */
const FETCH_PRIORITY = 0;

export class HubCarriage implements Carriage, Store {
  readonly #feed = new Feed<CarriageEvent>();
  readonly #link: Link;
  readonly #challenge: Bytes;
  #connection: Connection.Established | undefined;
  readonly #followed = new Map<string, AbortController>();
  #connectedAt = Infinity;
  #wake: () => void = () => {};
  #recordings = false;

  /** `challenge`: offered to the camera to sign. */
  constructor(link: Link, challenge: Bytes) {
    this.#link = link;
    this.#challenge = challenge;
    void this.#run();
  }

  get events(): AsyncIterable<CarriageEvent> {
    return this.#feed;
  }

  retry(): void {
    this.#wake();
  }

  reconnect(): void {
    this.#connection?.close();
  }

  get kept(): boolean | undefined {
    if (this.#recordings) return true;
    return performance.now() - this.#connectedAt > ANNOUNCED_MS ? false : undefined;
  }

  async fetch(session: string | undefined, track: string, group: number, most: number): Promise<Bytes[]> {
    const connection = this.#connection;
    if (!connection) throw new FetchError("offline");
    if (connection.version !== PROTOCOLS[0]) throw new FetchError("unsupported");
    const broadcast = connection.consume(session === undefined ? Path.from("store", this.#link.camera) : Path.from("store", this.#link.camera, session));
    try {
      const reader = await inTime(broadcast.track(track).fetchGroup(group, { priority: FETCH_PRIORITY }));
      const objects: Bytes[] = [];
      let size = 0;
      try {
        for (;;) {
          const frame = await inTime(reader.readFrame());
          if (!frame) return objects;
          size += frame.payload.length;
          if (size > most) throw new FetchError("too-large");
          objects.push(frame.payload as Bytes);
        }
      } finally {
        reader.close();
      }
    } catch (error) {
      if (error instanceof FetchError) throw error;
      throw new FetchError(this.#connection === connection ? "absent" : "offline");
    } finally {
      broadcast.close();
    }
  }

  follow(session: string): void {
    const connection = this.#connection;
    if (!connection || this.#followed.has(session)) return;
    const stop = new AbortController();
    this.#followed.set(session, stop);
    const broadcast = connection.consume(Path.from(this.#link.camera, session));
    stop.signal.addEventListener("abort", () => broadcast.close());
    for (const name of TRACKS) void this.#readTrack(session, broadcast, name, stop.signal);
  }

  unfollow(session: string): void {
    this.#followed.get(session)?.abort();
    this.#followed.delete(session);
  }

  async #run(): Promise<never> {
    let wait = FIRST_WAIT_MS;
    for (;;) {
      this.#feed.push({ kind: "connecting" });
      const { code, reason } = await this.#connectOnce();
      for (const session of [...this.#followed.keys()]) this.unfollow(session);
      this.#connection = undefined;
      this.#recordings = false;
      this.#feed.push({ kind: "disconnected", code, reason });
      if (performance.now() - this.#connectedAt > GOOD_AFTER_MS) wait = FIRST_WAIT_MS;
      this.#connectedAt = Infinity;
      const pause = code === 401 ? REFUSED_WAIT_MS : wait;
      wait = Math.min(2 * wait, LONGEST_WAIT_MS);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pause);
        this.#wake = () => { clearTimeout(timer); resolve(); };
      });
    }
  }

  /** One connection from its attempt to its end. */
  async #connectOnce(): Promise<{ code: number | undefined; reason: string }> {
    const url = new URL(this.#link.hub);
    url.searchParams.set("jwt", this.#link.token);
    const options: WebTransportOptions & { protocols: string[] } = {
      allowPooling: false,
      congestionControl: "low-latency",
      protocols: PROTOCOLS,
    };
    const { certificate } = this.#link;
    if (certificate) options.serverCertificateHashes = [{ algorithm: "sha-256", value: certificate }];
    // Our own object rather than one made by the library: only its `closed` tells why the hub hung up.
    let transport: WebTransport;
    try {
      transport = new WebTransport(url, options);
    } catch (error) {
      return { code: undefined, reason: words(error) };
    }
    const closed = transport.closed.then(
      (info) => ({ code: info.closeCode, reason: info.reason ?? "" }),
      (error: unknown) => ({ code: undefined, reason: words(error) }),
    );
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), CONNECT_TIMEOUT_MS);
    timeout.signal.addEventListener("abort", () => transport.close());
    try {
      await transport.ready;
      const connection = await Promise.race([Connection.connect(url, { transport, discovery: true }), closed]);
      clearTimeout(timer);
      if ("reason" in connection) return connection;
      connection.closed.catch(() => {});
      this.#connection = connection;
      this.#connectedAt = performance.now();
      this.#feed.push({ kind: "connected" });
      this.#publishChallenge(connection);
      const announced = connection.announced(Path.from(this.#link.camera));
      void this.#readAnnouncements(announced);
      const stores = connection.announced(Path.from("store"));
      void this.#readStores(stores);
      const end = await closed;
      announced.close();
      stores.close();
      return end;
    } catch (error) {
      clearTimeout(timer);
      try { transport.close(); } catch { /* closed already */ }
      // A refusal reaches `closed` a moment after it broke whatever was under way.
      const late = await Promise.race([closed, pause(300)]);
      return late?.code ? late : { code: undefined, reason: timeout.signal.aborted ? "no answer" : words(error) };
    }
  }

  /** A camera that sees the broadcast signs the challenge into its next opening. Where the token forbids it, the clocks must do. */
  #publishChallenge(connection: Connection.Established): void {
    const broadcast = new Broadcast.Producer();
    const track = broadcast.createTrack("challenge");
    track.writeFrame({ payload: this.#challenge, timestamp: Time.Timestamp.now() });
    const id = toHex(crypto.getRandomValues(new Uint8Array(16)));
    connection.publish(Path.from("viewer", id), broadcast);
  }

  async #readAnnouncements(announced: Announce.Consumer): Promise<void> {
    try {
      for (;;) {
        const event = await announced.next();
        if (!event) return;
        if (/^[0-9a-f]{32}$/.test(event.path)) this.#feed.push({ kind: "session", id: event.path, present: event.active });
      }
    } catch {
      this.#connection?.close();
    }
  }

  async #readStores(stores: Announce.Consumer): Promise<void> {
    try {
      for (;;) {
        const event = await stores.next();
        if (!event) return;
        if (event.path === this.#link.camera) this.#recordings = event.active;
      }
    } catch {
      // The connection is going; whoever reads the camera's announcements notices.
    }
  }

  async #readTrack(session: string, broadcast: Broadcast.Consumer, name: TrackName, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const subscriber = broadcast.track(name).subscribe({ priority: name === "video" ? 1 : 2, latencyMax: PATIENCE_MS[name] });
      let groups = 0;
      const stop = () => subscriber.close();
      signal.addEventListener("abort", stop);
      try {
        for (;;) {
          const group = await subscriber.recvGroup();
          if (!group) break;
          groups++;
          // Not awaited: the next group is read from its first object on, even while the tail of this one comes in.
          void this.#readGroup(session, name, group, signal);
        }
        if (name === "session" && groups > 0) return;
      } catch {
        // The broadcast went away or the hub dropped the subscription.
      }
      signal.removeEventListener("abort", stop);
      await pause(RESUBSCRIBE_MS);
    }
  }

  async #readGroup(session: string, track: TrackName, group: Awaited<ReturnType<Track.Subscriber["recvGroup"]>> & {}, signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const frame = await group.readFrameSequence();
        if (!frame || signal.aborted) break;
        const bytes = frame.payload as Bytes;
        this.#feed.push({ kind: "object", session, track, group: group.sequence, index: frame.sequence, bytes });
      }
    } catch {
      // Cut short: under congestion the tail of a group is given up for the next one.
    }
    group.close();
    if (!signal.aborted) this.#feed.push({ kind: "end", session, track, group: group.sequence });
  }
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}

/** Rejects where it takes too long. What comes later is dropped with the reader. */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new FetchError("timeout")), FETCH_TIMEOUT_MS); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : "";
}
