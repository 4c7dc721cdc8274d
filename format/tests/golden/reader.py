"""Reads a list of klstore from a folder of its objects: written from docs/FORMAT.md alone, to prove that this can be done.

    python3 reader.py v1 flights 'N14228/é' | diff - v1/items.ndjson

Needs the packages lz4 and zstandard. It checks what docs/FORMAT.md tells a reader to check, and stops at the first error.
"""

import hashlib
import json
import pathlib
import struct
import sys

import lz4.block
import zstandard

MAX_HEADER = {1: 16 << 10, 2: 256 << 10, 3: 64 << 20, 4: 64 << 20, 5: 64 << 20}
LOWEST = -(1 << 63)


def check(condition, reason):
    if not condition:
        raise ValueError(reason)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def as_signed(value):
    """Modulo 2^64, as a signed number."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, count):
        check(self.at + count <= len(self.data), "cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def fixed(self, size):
        return int.from_bytes(self.bytes(size), "little")

    def varint(self, bits=64):
        value = shift = 0
        while True:
            byte = self.fixed(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                check(value < 1 << bits and (byte or shift == 7), "a bad number")
                return value

    def wide(self):
        return self.varint(128)

    def signed(self):
        folded = self.varint()
        return folded >> 1 if folded % 2 == 0 else -(folded + 1 >> 1)

    def object_id(self):
        return self.varint(), self.fixed(16)

    def page_id(self, last_x):
        return (last_x + self.signed()) % (1 << 64), self.fixed(16)

    def sessions(self):
        return [self.fixed(16) for _ in range(self.varint())]

    def end(self):
        check(self.at == len(self.data), "a section is longer than its content")


# Chapter 3
def read_header(data, kind, list_hash):
    check(data[:4] == b"KLST", "not an object of klstore")
    check(data[4] == 1, "another version")
    flags, length, crc = struct.unpack("<HII", data[6:16])
    check(32 <= length <= min(MAX_HEADER[kind], len(data)), "an impossible header length")
    check(crc == crc32c(data[:12] + data[16:length]), "a wrong checksum")
    check(flags == 0 and data[5] == kind and data[16:32] == list_hash, "another kind of object, or list")
    cursor, sections = Cursor(data[32:length]), {}
    while cursor.at < len(cursor.data):
        section = cursor.fixed(2)
        check(section > max(sections, default=-1), "sections out of order")
        sections[section] = Cursor(cursor.bytes(cursor.varint()))
        check(section >= 1 << 15 or section <= 6, "an unknown required section")
    return length, sections


# Chapter 4
class Run:
    def __init__(self, first, running_max, next_nonce):
        self.first, self.running_max, self.next_nonce = first, running_max, next_nonce
        self.count = self.value_bytes = 0
        self.lowest, self.highest = (1 << 63) - 1, LOWEST

    @property
    def end(self):
        return self.first + self.count

    def facts(self):
        return vars(self)


def read_state(cursor):
    return Run(cursor.varint(), cursor.signed(), cursor.wide())


def read_run(cursor, state):
    run = Run(state.end, state.running_max, state.next_nonce)
    run.count = cursor.varint()
    if run.count:
        run.value_bytes = cursor.varint()
        run.lowest = as_signed(state.running_max + cursor.signed())
        run.highest = as_signed(run.lowest + cursor.varint())
        check(run.lowest <= run.highest and run.end < 1 << 64, "an impossible run")
        run.running_max = max(state.running_max, run.highest)
        run.next_nonce += cursor.wide()
        check(run.next_nonce < 1 << 128, "an impossible nonce")
    return run


def read_directory(cursor, state, run, position):
    """Blocks as (position, length, first offset, items)."""
    number, first, blocks = cursor.varint(), run.first, []
    check(number <= 4096 and (number == 0) == (run.count == 0), "an impossible directory")
    for index in range(number):
        length, count = cursor.varint(), run.end - first
        if index < number - 1:
            count = cursor.varint()
            cursor.varint()  # running maximum: for seeks
            cursor.wide()  # next nonce: for seeks
        check(0 < count <= run.end - first, "blocks that do not make up their run")
        blocks.append((position, length, first, count))
        position, first = position + length, first + count
    check(first == run.end, "blocks that do not make up their run")
    return blocks


def read_items(cursor, position):
    state = read_state(cursor)
    run = read_run(cursor, state)
    blocks = read_directory(cursor, state, run, position)
    cursor.end()
    return state, run, blocks


# Chapter 5
def owner_of(*parts):
    return hashlib.sha256(b"".join(parts)).digest()[:8]


def read_blocks(data, blocks, owner):
    for position, length, first, count in blocks:
        yield from read_block(data[position : position + length], owner, first, count)


def read_block(block, owner, first, count):
    length, crc, found, codec, found_first, found_count, plain_length = struct.unpack_from("<II8sBQII", block)
    check(length == len(block) and block[-4:] == block[:4], "a block of another length")
    check(crc == crc32c(block[8:-4]) and found == owner, "a damaged or foreign block")
    check((found_first, found_count) == (first, count), "another block than the directory says")
    check(plain_length <= (16 << 20) + 1024 and 2 * count <= plain_length, "an impossible block")
    plain = block[33:-4]
    if codec == 1:
        plain = lz4.block.decompress(plain, uncompressed_size=plain_length)
    elif codec == 2:
        plain = zstandard.ZstdDecompressor().decompress(plain, max_output_size=plain_length)
    check(codec <= 2 and len(plain) == plain_length, "an unknown codec or a wrong length")

    cursor = Cursor(plain)
    sizes = [cursor.varint() for _ in range(3)]
    timestamps, nonces, lengths = (Cursor(cursor.bytes(size)) for size in sizes)
    presence = None
    if nonces.data and nonces.fixed(1) == 2:
        presence = nonces.bytes((count + 7) // 8)
    timestamp, nonce = 0, None
    for item in range(count):
        timestamp = as_signed(timestamp + timestamps.signed())
        has_nonce = bool(nonces.data) if presence is None else presence[item // 8] >> item % 8 & 1
        if has_nonce:
            nonce = nonces.wide() + (0 if nonce is None else nonce + 1)
        value = cursor.bytes(lengths.varint())
        yield first + item, timestamp, nonce if has_nonce else None, value
    for column in (timestamps, nonces, lengths, cursor):
        column.end()


# Chapter 6
class Commit:
    def __init__(self, data, list_hash):
        self.data = data
        length, sections = read_header(data, 1, list_hash)
        cursor = sections[1]
        self.seq, self.session, self.put_id, self.flags = cursor.varint(), cursor.fixed(16), cursor.varint(), cursor.fixed(1)
        cursor.end()
        before, self.run, self.own = read_items(sections[2], length)
        cursor = sections[4]
        self.covered = self.seq - cursor.varint()
        self.start, flags, self.value_bytes = cursor.varint(), cursor.fixed(1), cursor.varint()
        if flags & 1:
            self.lowest, self.span = cursor.signed(), cursor.varint()
        self.index = (cursor.object_id(), cursor.varint()) if flags & 2 else None
        cursor.end()
        self.table = list(self.read_table(sections[5])) if 5 in sections else []
        check(len(self.table) == self.seq - self.covered, "an incomplete table")
        state = self.table[-1]["run"] if self.table else before
        ends = (state.end, state.running_max, state.next_nonce)
        check(ends == (before.first, before.running_max, before.next_nonce), "a table with a gap")
        self.owner = owner_of(
            b"klstore commit", list_hash, struct.pack("<Q", self.seq),
            self.session.to_bytes(16, "little"), struct.pack("<Q", self.put_id),
        )  # fmt: skip

    def read_table(self, cursor):
        sessions, state, expected = cursor.sessions(), read_state(cursor), 0
        for seq in range(self.covered, self.seq):
            entry = {"seq": seq}
            place_and_flags = cursor.varint()
            entry["session"], entry["flags"] = sessions[place_and_flags >> 2], place_and_flags & 3
            entry["put_id"] = (expected + cursor.signed()) % (1 << 64)
            entry["run"] = state = read_run(cursor, state)
            entry["carried"], entry["header"] = cursor.varint(), cursor.varint()
            entry["own_bytes"], entry["carried_bytes"] = cursor.varint(), cursor.varint()
            expected = entry["put_id"] + 1
            yield entry
        cursor.end()

    def items(self):
        return read_blocks(self.data, self.own, self.owner)


# Chapter 8
def read_entries(cursor, state):
    number, sessions, x = cursor.varint(), cursor.sessions(), 0
    for _ in range(number):
        entry = {"flags": cursor.fixed(1)}
        if entry["flags"] & 1:
            entry["seq"] = x = (x + cursor.signed()) % (1 << 64)
            entry["session"], entry["put_id"] = sessions[cursor.varint()], cursor.varint()
        else:
            entry["id"] = x, _ = cursor.page_id(x)
        run = read_run(cursor, state)
        entry["blocks"] = read_directory(cursor, state, run, cursor.varint())
        entry["run"] = state = run
        yield entry
    cursor.end()


class List:
    # Chapter 1
    def __init__(self, folder, keyspace, key):
        self.base = pathlib.Path(folder) / escape(keyspace) / "lists" / escape(key)
        texts = keyspace.encode(), key.encode()
        self.hash = hashlib.sha256(struct.pack("<I", len(texts[0])) + texts[0] + texts[1]).digest()[:16]

    def commit(self, seq):
        return Commit((self.base / "log" / f"{(1 << 64) - 1 - seq:016x}").read_bytes(), self.hash)

    def page(self, object_id, kind):
        data = (self.base / "idx" / f"{object_id[0]:016x}{object_id[1]:032x}").read_bytes()
        length, sections = read_header(data, kind, self.hash)
        check(length == len(data) and sections[1].page_id(0) == object_id, "another page")
        return sections

    def entries(self, index):
        """The entries of all leaves, then the open ones."""
        head = self.page(index[0], 3)
        state = read_state(head[1])
        if 2 in head:
            x = 0
            for _ in range(head[2].varint()):
                leaf_id = x, _ = head[2].page_id(x)
                head[2].varint(), head[2].varint()
                state = read_run(head[2], state)
                leaf = self.page(leaf_id, 4)
                yield from read_entries(leaf[2], read_state(leaf[1]))
        if 3 in head:
            yield from read_entries(head[3], state)

    # Chapter 11
    def items(self):
        newest = Commit(min((self.base / "log").iterdir()).read_bytes(), self.hash)
        for entry in self.entries(newest.index) if newest.index else []:
            if "seq" in entry:
                data, owner = self.commit(entry["seq"]).data, self.commit(entry["seq"]).owner
            else:
                x, number = entry["id"]
                data = (self.base / "seg" / f"{x:016x}{number:032x}").read_bytes()
                numbers = struct.pack("<Q", x), number.to_bytes(16, "little")
                owner = owner_of(b"klstore segment", self.hash, *numbers)
            yield from read_blocks(data, entry["blocks"], owner)
        for entry in newest.table:
            commit = self.commit(entry["seq"])
            identity = (commit.seq, commit.session, commit.put_id, commit.flags)
            expected = (entry["seq"], entry["session"], entry["put_id"], entry["flags"])
            check(identity == expected and commit.run.facts() == entry["run"].facts(), "another commit of that name")
            yield from commit.items()
        yield from newest.items()


def escape(name):
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    whole = name in (".", "..")
    return "".join(chr(byte) if byte in plain and not whole else f"~{byte:02X}" for byte in name.encode())


if __name__ == "__main__":
    for offset, timestamp, nonce, value in List(*sys.argv[1:4]).items():
        item = {
            "offset": offset,
            "timestamp": timestamp,
            "nonce": None if nonce is None else str(nonce),
            "value_hex": value.hex(),
        }
        print(json.dumps(item, separators=(",", ":")))
