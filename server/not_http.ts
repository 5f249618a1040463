import type { Duplex } from "node:stream";
import { encodeStatus } from "../exporters/otlp/status.ts";

/** What is said to gRPC on this port, in whatever way it is able to hear it. */
export const GRPC_HINT = "This is OTLP/HTTP. OTLP/gRPC has a port of its own, usually 4317, and is not built yet.";

/** A peer that does not even close its side when we do is not waited for longer than this. */
const LINGER_MS = 1000;

/** What can be wrong with bytes that should be HTTP/1.1, by the runtime's error code. Anything else is a 400. */
const ANSWERS: Readonly<Record<string, { readonly status: string; readonly message: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: "408 Request Timeout", message: "The request did not arrive in time." },
  HPE_HEADER_OVERFLOW: { status: "431 Request Header Fields Too Large", message: "The headers are too large." },
};
const BAD_REQUEST = { status: "400 Bad Request", message: "The request is not HTTP/1.1." };

/** HTTP/2 frame types and error code of RFC 9113. */
const SETTINGS = 0x4;
const GOAWAY = 0x7;
const HTTP_1_1_REQUIRED = 0xd;

/**
 * Answers a connection on which no request could be understood, and ends it: HTTP/2 by a GOAWAY that carries a
 * sentence, everything else by a bare HTTP/1.1 response.
 */
export function answerNotHttp(error: Error & { code?: string }, socket: Duplex): void {
  const peerIsGone = error.code === "ECONNRESET" || !socket.writable;
  if (peerIsGone) {
    socket.destroy();
    return;
  }
  socket.end(error.code === "HPE_PAUSED_H2_UPGRADE" ? goAway(GRPC_HINT) : response(error.code));
  const timer = setTimeout(() => socket.destroy(), LINGER_MS) as unknown as { unref?(): void };
  timer.unref?.();
  socket.on("close", () => clearTimeout(timer as unknown as number));
}

function response(code: string | undefined): string {
  const { status, message } = ANSWERS[code ?? ""] ?? BAD_REQUEST;
  const body = new TextDecoder().decode(encodeStatus("json", { message }));
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${new TextEncoder().encode(body).length}\r\n\r\n${body}`;
}

/**
 * The server's preface, which HTTP/2 asks for first, and a GOAWAY: no stream was served, HTTP/1.1 is required, and why.
 */
function goAway(message: string): Uint8Array {
  const debugData = new TextEncoder().encode(message);
  const payload = new Uint8Array(8 + debugData.length);
  new DataView(payload.buffer).setUint32(4, HTTP_1_1_REQUIRED);
  payload.set(debugData, 8);
  const frames = [frame(SETTINGS, new Uint8Array(0)), frame(GOAWAY, payload)];
  const bytes = new Uint8Array(frames[0].length + frames[1].length);
  bytes.set(frames[0]);
  bytes.set(frames[1], frames[0].length);
  return bytes;
}

/** A frame without flags on stream 0: 24 bits of length, 8 of type, 8 of flags, 32 of stream. */
function frame(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(9 + payload.length);
  new DataView(bytes.buffer).setUint32(0, payload.length << 8 | type);
  bytes.set(payload, 9);
  return bytes;
}
