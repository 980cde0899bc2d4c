/*
 * HTTP/2 as bytes, for what Node's own client refuses to send. Headers are written as HPACK literals that no table remembers.
 */

/** What a connection begins with: the preface, and settings that change nothing. */
export const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
  frame(4, 0, 0, Buffer.alloc(0)),
]);

/** A frame as it came. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export const [DATA, HEADERS, RST_STREAM, GOAWAY] = [0, 1, 3, 7] as const;

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A request without a body: HEADERS that end the head and the stream. Names and values of up to 126 bytes. */
export function headersFrame(stream: number, headers: readonly (readonly [string, string])[]): Buffer {
  const text = (one: string): Buffer => Buffer.from([one.length, ...Buffer.from(one, 'latin1')]);
  const literals = headers.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]);
  return frame(HEADERS, 0x5, stream, Buffer.concat(literals));
}

/** The frames in what came so far; throws on bytes that cannot be one. */
export function framesOf(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    const type = bytes.readUInt8(at + 3);
    if (type > 9 || length > 16_384)
      throw new Error(`no frame at ${at}: ${bytes.toString('latin1', at, at + 60)}`);
    const payload = bytes.subarray(at + 9, at + 9 + length);
    if (payload.length < length) break;
    frames.push({ type, flags: bytes.readUInt8(at + 4), stream: bytes.readUInt32BE(at + 5), payload });
    at += 9 + length;
  }
  return frames;
}
