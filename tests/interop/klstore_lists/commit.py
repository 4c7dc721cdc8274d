"""Section 6: commits."""

from dataclasses import dataclass

from . import limits
from .blocks import owner_of_commit
from .errors import Corrupt
from .header import Header, Kind
from .names import ObjectId
from .numbers import U64, Cursor
from .runs import EMPTY, Block, Run, State, read_directory, total_length

HANDOVER, COMPLETE = 1, 2


@dataclass(frozen=True)
class Identity:
    seq: int
    session: int
    put_id: int
    flags: int

    def owner(self, list_hash: bytes) -> bytes:
        return owner_of_commit(list_hash, self.seq, self.session, self.put_id)


@dataclass(frozen=True)
class Manifest:
    covered: int  # every commit below this seq is covered by the index
    start: int
    live_value_bytes: int
    live_timestamps: tuple[int, int] | None
    index: tuple[ObjectId, int] | None  # the head page and its bytes


@dataclass(frozen=True)
class TableEntry:
    identity: Identity
    before: State
    run: Run
    carry_start: int
    header_length: int
    own_bytes: int
    carried_bytes: int


@dataclass(frozen=True)
class Commit:
    identity: Identity
    before: State
    run: Run
    own: list[Block]  # their positions are those in the whole object, as those of the carried ones
    carry_start: int
    carried_run: Run | None
    carried: list[Block]
    manifest: Manifest
    table: list[TableEntry]
    sources: dict[str, dict[int, int]]
    header_length: int

    @property
    def length(self) -> int:
        return self.header_length + total_length(self.own) + total_length(self.carried)

    def is_as_told(self, entry: TableEntry) -> bool:
        """Whether this is the commit that a newer one's table tells of."""
        mine = (self.identity, self.before, self.run, self.carry_start, self.header_length)
        told = (entry.identity, entry.before, entry.run, entry.carry_start, entry.header_length)
        return mine == told and (total_length(self.own), total_length(self.carried)) == (
            entry.own_bytes,
            entry.carried_bytes,
        )


def read_commit(data: bytes, list_hash: bytes) -> Commit:
    """From an object's first bytes: the header has to be in them, blocks need not be."""
    header = Header(data, Kind.COMMIT, list_hash, frozenset({1, 2, 3, 4, 5, 6}))

    section = header[1]
    identity = Identity(section.varint(), section.u128(), section.varint(), section.flags(HANDOVER | COMPLETE))

    section = header[2]
    before = State.read(section)
    run = Run.read(section, before)
    own = read_directory(section, before, run, header.length)
    if run.count > limits.COMMIT_ITEMS:
        raise Corrupt(f"a commit of {run.count} items")

    carry_start, carried_run, carried = run.first, None, []
    if 3 in header:
        section = header[3]
        reference = State.read(section)
        carried_run = Run.read(section, reference, at_least=1)
        carried = read_directory(section, reference, carried_run, header.length + total_length(own))
        carry_start = carried_run.first
        if carried_run.end.offset != run.first:
            raise Corrupt("the carried items do not end where the own ones begin")

    manifest = _manifest(header[4], identity.seq, run.end.offset)

    first_state, table = before, []
    if manifest.covered < identity.seq:
        first_state, table, end = _table(header[5], manifest.covered, identity.seq)
        if end != before:
            raise Corrupt("the table does not end where the own items begin")
    elif 5 in header:
        raise Corrupt("a table of no commits")
    if manifest.covered == 0 and first_state != EMPTY:
        raise Corrupt("the list does not begin as an empty one")

    sources = _sources(header[6]) if 6 in header else {}
    header.ends()
    return Commit(
        identity, before, run, own, carry_start, carried_run, carried, manifest, table, sources, header.length
    )


def _manifest(section: Cursor, seq: int, next_offset: int) -> Manifest:
    covered = seq - section.number_of("commits in the table", limits.TABLE_COMMITS)
    start, flags, live_value_bytes = section.varint(), section.flags(3), section.varint()
    if covered < 0 or start > next_offset:
        raise Corrupt(f"commit {seq} with a table from {covered}, start {start} of {next_offset}")
    timestamps = None
    if flags & 1:
        lowest = section.signed()
        timestamps = (lowest, lowest + section.varint())
        if timestamps[1] >= U64 // 2:
            raise Corrupt("the live items' highest timestamp is beyond 64 bits")
    index = (section.object_id(), section.varint()) if flags & 2 else None
    return Manifest(covered, start, live_value_bytes, timestamps, index)


def _table(section: Cursor, covered: int, seq: int) -> tuple[State, list[TableEntry], State]:
    sessions = [section.u128() for _ in range(section.number_of("sessions", seq - covered))]
    first_state = state = State.read(section)
    expected_put_id = 0
    entries = []
    for commit in range(covered, seq):
        place, flags = divmod(section.varint(), 4)
        if place >= len(sessions):
            raise Corrupt(f"session {place} of {len(sessions)}")
        put_id = (expected_put_id + section.signed()) % U64
        run = Run.read(section, state)
        carry_start = run.first - section.varint()
        lengths = section.varint(), section.varint(), section.varint()
        if carry_start < 0:
            raise Corrupt("a carry that begins before the list")
        entries.append(TableEntry(Identity(commit, sessions[place], put_id, flags), state, run, carry_start, *lengths))
        expected_put_id, state = put_id + 1, run.end
    return first_state, entries, state


def _sources(section: Cursor) -> dict[str, dict[int, int]]:
    if section.left > limits.SOURCE_BYTES:
        raise Corrupt("more than can be said of sources")
    sources: dict[str, dict[int, int]] = {}
    left, last = limits.SOURCE_PARTITIONS, b""
    for _ in range(section.number_of("names of sources", left)):
        name = section.bytes(section.number_of("bytes of a source's name", limits.NAME_BYTES))
        if name <= last:
            raise Corrupt("the sources' names do not ascend")
        last = name
        count = section.number_of("partitions", left)
        if count == 0:
            raise Corrupt("a source without partitions")
        left -= count
        partitions: dict[int, int] = {}
        partition = -1
        for _ in range(count):
            partition += 1 + section.varint()
            if partition >= 1 << 32:
                raise Corrupt("a partition beyond 32 bits")
            partitions[partition] = section.varint()
        try:
            sources[name.decode()] = partitions
        except UnicodeDecodeError as error:
            raise Corrupt("a source's name is not UTF-8") from error
    return sources
