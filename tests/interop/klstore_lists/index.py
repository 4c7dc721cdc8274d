"""Section 8: the pages of the index."""

from dataclasses import dataclass

from . import limits
from .blocks import owner_of_segment
from .commit import COMPLETE, HANDOVER, Identity
from .errors import Corrupt
from .header import Header, Kind
from .names import ListName, ObjectId
from .numbers import U64, Cursor
from .runs import Block, Run, State, joined, read_directory


@dataclass(frozen=True)
class Entry:
    """A segment, or a complete commit."""

    what: ObjectId | Identity
    complete: bool
    run: Run
    header_length: int
    blocks: list[Block]  # their positions are those in the whole object

    def name(self, list: ListName) -> str:
        return list.segment(self.what) if isinstance(self.what, ObjectId) else list.commit(self.what.seq)

    def owner(self, list_hash: bytes) -> bytes:
        if isinstance(self.what, ObjectId):
            return owner_of_segment(list_hash, self.what)
        return self.what.owner(list_hash)


@dataclass(frozen=True)
class LeafReference:
    id: ObjectId
    length: int
    entries: int
    run: Run


@dataclass(frozen=True)
class LedgerReference:
    id: ObjectId
    length: int
    first_seq: int
    handovers: int


@dataclass(frozen=True)
class Handover:
    seq: int
    session: int


@dataclass(frozen=True)
class Head:
    before: State
    leaves: list[LeafReference]
    open: list[Entry]
    ledgers: list[LedgerReference]
    handovers: list[Handover]

    @property
    def end(self) -> State:
        """Where the index ends."""
        runs = [each.run for each in (*self.leaves, *self.open)]
        return runs[-1].end if runs else self.before


def read_head(data: bytes, list_hash: bytes, id: ObjectId) -> Head:
    header = _page(data, Kind.HEAD, list_hash, id, frozenset({1, 2, 3, 4, 5}))
    before = state = State.read(header[1])
    leaves = []
    if 2 in header:
        ids = _Ids(header[2])
        for _ in range(header[2].number_of("references to leaf pages", limits.PAGE_REFERENCES)):
            page, length, entries = ids.next(), header[2].varint(), header[2].varint()
            run = Run.read(header[2], state, at_least=1)
            if not 1 <= entries <= limits.LEAF_ENTRIES:
                raise Corrupt(f"a leaf page of {entries} entries")
            leaves.append(LeafReference(page, length, entries, run))
            state = run.end
    entries = _entries(header[3], state) if 3 in header else []
    ledgers = _ledgers(header[4]) if 4 in header else []
    handovers = _handovers(header[5], limits.HEAD_HANDOVERS) if 5 in header else []
    header.ends()
    return Head(before, leaves, entries, ledgers, handovers)


def read_leaf(data: bytes, list_hash: bytes, reference: LeafReference) -> list[Entry]:
    """The entries of the page that a head page refers to."""
    header = _page(data, Kind.LEAF, list_hash, reference.id, frozenset({1, 2}))
    entries = _entries(header[2], State.read(header[1]))
    header.ends()
    if len(entries) != reference.entries or joined([entry.run for entry in entries]) != reference.run:
        raise Corrupt("a leaf page with other items than the head page tells of")
    return entries


def read_ledger(data: bytes, list_hash: bytes, reference: LedgerReference) -> list[Handover]:
    """Readers of items never need it."""
    header = _page(data, Kind.LEDGER, list_hash, reference.id, frozenset({1, 2}))
    handovers = _handovers(header[2], limits.LEDGER_HANDOVERS)
    header.ends()
    if len(handovers) != reference.handovers or handovers[0].seq != reference.first_seq:
        raise Corrupt("a ledger page with other handovers than the head page tells of")
    return handovers


class _Ids:
    """The ids of one section: each X is written as the difference to the one before."""

    def __init__(self, section: Cursor) -> None:
        self._section, self._x = section, 0

    def next_x(self) -> int:
        self._x = (self._x + self._section.signed()) % U64
        return self._x

    def next(self) -> ObjectId:
        return ObjectId(self.next_x(), self._section.u128())


def _page(data: bytes, kind: Kind, list_hash: bytes, id: ObjectId, known: frozenset[int]) -> Header:
    header = Header(data, kind, list_hash, known)
    found = _Ids(header[1]).next()
    if found != id or header.length != len(data):
        raise Corrupt(f"page {found} of {header.length} bytes under the name of {id}, which has {len(data)}")
    return header


def _entries(section: Cursor, state: State) -> list[Entry]:
    number = section.number_of("entries", limits.LEAF_ENTRIES)
    sessions = [section.u128() for _ in range(section.number_of("sessions", number))]
    ids = _Ids(section)
    entries = []
    for _ in range(number):
        flags = section.flags(7)
        is_commit, complete, handover = flags & 1, flags & 2, flags & 4
        if is_commit:
            seq, place, put_id = ids.next_x(), section.varint(), section.varint()
            if not complete or place >= len(sessions):
                raise Corrupt(f"commit {seq} in an index, session {place} of {len(sessions)}")
            what = Identity(seq, sessions[place], put_id, COMPLETE | (HANDOVER if handover else 0))
        elif handover:
            raise Corrupt("a segment that is a handover")
        else:
            what = ids.next()
        run = Run.read(section, state, at_least=1)
        header_length = section.varint()
        blocks = read_directory(section, state, run, header_length)
        entries.append(Entry(what, bool(complete), run, header_length, blocks))
        state = run.end
    if not entries:
        raise Corrupt("a section of no entries")
    return entries


def _handovers(section: Cursor, at_most: int) -> list[Handover]:
    number = section.number_of("handovers", at_most)
    sessions = [section.u128() for _ in range(section.number_of("sessions", number))]
    handovers = []
    seq = -1
    for _ in range(number):
        seq += 1 + section.varint()
        place = section.varint()
        if seq >= U64 or place >= len(sessions):
            raise Corrupt(f"a handover at {seq}, session {place} of {len(sessions)}")
        handovers.append(Handover(seq, sessions[place]))
    if not handovers:
        raise Corrupt("a section of no handovers")
    return handovers


def _ledgers(section: Cursor) -> list[LedgerReference]:
    ids = _Ids(section)
    references = []
    seq = -1
    for _ in range(section.number_of("references to ledger pages", limits.PAGE_REFERENCES)):
        page, length = ids.next(), section.varint()
        seq += 1 + section.varint()
        handovers = section.varint()
        if seq >= U64 or not 1 <= handovers <= limits.LEDGER_HANDOVERS:
            raise Corrupt(f"{handovers} handovers from {seq}")
        references.append(LedgerReference(page, length, seq, handovers))
    return references
