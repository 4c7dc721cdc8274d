// What an object of a list is made of, as docs/FORMAT.md says it: enough to damage one and make its checksum right again.

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** Castagnoli's. */
export function crc32c(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** The blocks in (a part of) a commit or segment: those whose length stands at both ends and whose checksum is right. */
export function blocksIn(body) {
  const found = [];
  for (let at = 0; at + 37 <= body.length; at++) {
    const length = body.readUInt32LE(at);
    if (length < 37 || at + length > body.length || body.readUInt32LE(at + length - 4) !== length) continue;
    if (crc32c(body.subarray(at + 8, at + length - 4)) === body.readUInt32LE(at + 4)) found.push({ at, length });
  }
  return found;
}

/** The body with this field of each of its blocks set, and their checksums right; `null` where there is no block. */
export function withBlocks(body, change) {
  const changed = Buffer.from(body);
  const blocks = blocksIn(changed);
  for (const { at, length } of blocks) {
    const block = changed.subarray(at, at + length);
    change(block);
    block.writeUInt32LE(crc32c(block.subarray(8, length - 4)), 4);
  }
  return blocks.length > 0 ? changed : null;
}

/** Where the fields of a block lie. */
export const BLOCK = { codec: 16, items: 25, plainLength: 29, data: 33 };
