"""Section 11: reading a list from its newest commit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from . import limits
from .blocks import Item, read_block
from .commit import Commit, TableEntry, read_commit
from .errors import Corrupt, ListError, MovedOn, NotFound
from .index import Entry, Head, read_head, read_leaf
from .keyspace import read_keyspace
from .names import ListName, lists_folder, unescape
from .runs import Block, Run
from .store import Store

_ATTEMPTS = 20
_GET_BYTES = 8 << 20

Read = TypeVar("Read")


@dataclass(frozen=True)
class Snapshot:
    """The list as it was when its newest commit was read."""

    commit: Commit | None  # none where nothing has been appended yet
    items: list[Item]


def keys(store: Store, keyspace: str, prefix: str = "") -> Iterator[str]:
    folder = lists_folder(keyspace, prefix)
    for name in store.folders(folder):
        yield unescape(name.removeprefix(folder).removesuffix("/"))


def read_list(store: Store, list: ListName, keyspace: str, use_carry: bool = True) -> Snapshot:
    """All live items. Without `use_carry` those that the newest commit repeats are read where they were appended."""
    moved_on = None
    for _ in range(_ATTEMPTS):
        try:
            reading = _Reading(store, list)
            if not reading.resolve():
                _check_keyspace(store, list, keyspace)
                return Snapshot(None, [])
            return Snapshot(reading.commit, reading.items(use_carry))
        except MovedOn as error:
            moved_on = error
    raise Corrupt(f"the list never held still in {_ATTEMPTS} attempts, at last: {moved_on}")


def _check_keyspace(store: Store, list: ListName, keyspace: str) -> None:
    found = store.read(list.keyspace_object, 0, limits.KEYSPACE_BYTES + 1)
    if found is None:
        raise NotFound(f"there is no keyspace {keyspace!r}: {list.keyspace_object} is missing")
    read_keyspace(found.data, keyspace)


class _Reading:
    commit: Commit

    def __init__(self, store: Store, list: ListName) -> None:
        self._store, self._list = store, list

    def resolve(self) -> bool:
        """Finds the newest commit, if there is any."""
        newest = self._store.first(self._list.log)
        if newest is None:
            return False
        self._name, self._etag = newest
        seq = self._list.seq_of(self._name)
        self._begin = self._read_newest(0, limits.COMMIT_HEADER_BYTES)
        if not self._begin:
            raise MovedOn(f"{self._name} is a stub")
        self.commit = _told_where(self._name, lambda: read_commit(self._begin, self._list.hash))
        if self.commit.identity.seq != seq:
            raise Corrupt(f"{self._name} says that it is commit {self.commit.identity.seq}")
        return True

    def items(self, use_carry: bool) -> list[Item]:
        commit, items = self.commit, []
        above = commit.carry_start if use_carry else commit.run.first  # what is below is read elsewhere
        table_start = commit.table[0].run.first if commit.table else commit.run.first
        if commit.manifest.start < min(above, table_start):
            for entry in self._index(above):
                items += self._run(entry.name(self._list), entry.owner(self._list.hash), entry.run, entry.blocks, above)
        for entry in commit.table:
            if entry.run.count and _reaches_into(entry.run, commit.manifest.start, above):
                items += self._older_commit(entry, above)
        items += self._newest(above)
        self._check_whole(items)
        return items

    def _check_whole(self, items: list[Item]) -> None:
        """What the manifest says of the live items; where `start` is inside an object, that may count whole."""
        manifest = self.commit.manifest
        if [item.offset for item in items] != [*range(manifest.start, self.commit.run.end.offset)]:
            raise Corrupt("the objects do not have every item once")
        value_bytes = sum(len(item.value) for item in items)
        timestamps = [item.timestamp for item in items]
        lowest, highest = manifest.live_timestamps or (0, -1)
        whole = value_bytes <= manifest.live_value_bytes and all(lowest <= each <= highest for each in timestamps)
        exact = value_bytes == manifest.live_value_bytes and (
            not items or (lowest, highest) == (min(timestamps), max(timestamps))
        )
        if not whole or (manifest.start == 0 and not exact):
            raise Corrupt("the newest commit tells of other live items")
        nonces = [item.nonce for item in items if item.nonce is not None]
        if any(a >= b for a, b in zip(nonces, nonces[1:])):
            raise Corrupt("nonces that do not increase")

    # ---- The four places that items are in.

    def _newest(self, above: int) -> list[Item]:
        commit, owner = self.commit, self.commit.identity.owner(self._list.hash)
        carried = commit.carried if above < commit.run.first else []
        end = commit.length if carried else commit.length - sum(block.length for block in commit.carried)
        data = self._begin[:end]
        while len(data) < end:
            more = self._read_newest(len(data), min(end - len(data), _GET_BYTES))
            if not more:
                raise Corrupt(f"{self._name} ends early, after {len(data)} bytes of {end}")
            data += more
        items = []
        for blocks, run in ((carried, commit.carried_run), (commit.own, commit.run)):
            read = _told_where(self._name, lambda: _blocks(data, 0, owner, blocks))
            if run and blocks:
                _check_run(self._name, run, read)
            items += [item for item in read if item.offset >= commit.manifest.start]
        return items

    def _older_commit(self, entry: TableEntry, above: int) -> list[Item]:
        name = self._list.commit(entry.identity.seq)
        if entry.header_length > limits.COMMIT_HEADER_BYTES:
            raise Corrupt(f"{self._name}: a header of {entry.header_length} bytes for {name}")
        begin = self._read(name, 0, entry.header_length)
        commit = _told_where(name, lambda: read_commit(begin, self._list.hash))
        if not commit.is_as_told(entry):
            raise MovedOn(f"{name} is not the commit that {self._name} tells of")
        return self._run(name, commit.identity.owner(self._list.hash), commit.run, commit.own, above)

    def _index(self, above: int) -> Iterator[Entry]:
        """The index's entries with live items below `above`."""
        commit, start = self.commit, self.commit.manifest.start
        if commit.manifest.index is None:
            raise Corrupt(f"{self._name}: there is no index, and live items below its table")
        id, length = commit.manifest.index
        head: Head = self._page(self._list.page(id), length, lambda data: read_head(data, self._list.hash, id))
        if head.end != (commit.table[0].before if commit.table else commit.before) or head.before.offset > start:
            raise Corrupt(f"{self._list.page(id)}: the index does not reach from the live items to the table")
        for leaf in head.leaves:
            if _reaches_into(leaf.run, start, above):
                name = self._list.page(leaf.id)
                entries = self._page(name, leaf.length, lambda data, leaf=leaf: read_leaf(data, self._list.hash, leaf))
                yield from (entry for entry in entries if _reaches_into(entry.run, start, above))
        yield from (entry for entry in head.open if _reaches_into(entry.run, start, above))

    def _run(self, name: str, owner: bytes, run: Run, blocks: list[Block], above: int) -> list[Item]:
        """The live items of a run below `above`."""
        start = self.commit.manifest.start
        wanted = [block for block in blocks if block.first < above and block.end.offset > start]
        items = []
        for group in _groups(wanted):
            at, end = group[0].at, group[-1].at + group[-1].length
            data = self._read(name, at, end - at)
            items += _told_where(name, lambda: _blocks(data, at, owner, group))
        if len(wanted) == len(blocks):
            _check_run(name, run, items)
        return [item for item in items if start <= item.offset < above]

    # ---- Requests.

    def _page(self, name: str, length: int, read: Callable[[bytes], Read]) -> Read:
        if length > limits.PAGE_BYTES:
            raise Corrupt(f"{self._name}: {name} would have {length} bytes")
        data = self._read(name, 0, length + 1)
        if len(data) != length:
            raise Corrupt(f"{name} has {len(data)} bytes, not {length}")
        return _told_where(name, lambda: read(data))

    def _read(self, name: str, begin: int, length: int) -> bytes:
        part = self._store.read(name, begin, length)
        if part is None or not part.data:
            raise MovedOn(f"{name} is gone")
        return part.data

    def _read_newest(self, begin: int, length: int) -> bytes:
        part = self._store.read(self._name, begin, length)
        if part is None or (part.etag != self._etag and part.data):
            raise MovedOn(f"{self._name} is another object now")
        return part.data


def _reaches_into(run: Run, start: int, above: int) -> bool:
    return run.first < above and run.end.offset > start


def _groups(blocks: list[Block]) -> Iterator[list[Block]]:
    """Stretches to read with one GET each."""
    group: list[Block] = []
    for block in blocks:
        if group and block.at + block.length - group[0].at > _GET_BYTES:
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def _blocks(data: bytes, at: int, owner: bytes, blocks: list[Block]) -> list[Item]:
    """The items of blocks, out of bytes that begin at `at` in the object."""
    items = []
    for block in blocks:
        begin = block.at - at
        items += read_block(data[begin : begin + block.length], owner, block)
    return items


def _check_run(name: str, run: Run, items: list[Item]) -> None:
    """Whether all items of a run are what was said of them."""
    timestamps = [item.timestamp for item in items]
    found = (len(items), sum(len(item.value) for item in items), min(timestamps), max(timestamps))
    nonces = [item.nonce for item in items if item.nonce is not None]
    if found != (run.count, run.value_bytes, run.lowest, run.highest) or (nonces and nonces[-1] >= run.end.next_nonce):
        raise Corrupt(f"{name}: its items are not what is said of them")


def _told_where(name: str, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except ListError as error:
        raise type(error)(f"{name}: {error}") from error
