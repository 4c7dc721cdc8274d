"""What a newer release wrote is refused and said to be newer, but for what may be ignored."""

import unittest

from golden import LISTS, Memory, flipped, sealed, with_section
from klstore_lists.errors import NewerFormat
from klstore_lists.header import Header, Kind
from klstore_lists.keyspace import read_keyspace
from klstore_lists.reading import read_list

KNOWN = frozenset(range(1, 7))


class Newer(unittest.TestCase):
    def test_every_object(self) -> None:
        for golden in LISTS:
            for name, data in golden.objects().items():
                if name.endswith("keyspace.json"):
                    newer = data.replace(b'"format_version":1', b'"format_version":2,"unheard":[]')
                    self.assertRaises(NewerFormat, read_keyspace, newer, golden.keyspace)
                    continue
                if not data:
                    continue
                kind, list_hash = Kind(data[5]), golden.name.hash
                Header(with_section(data, 1 << 15), kind, list_hash, KNOWN)
                # The version decides before anything else is looked at, checksum and length included.
                for newer in (
                    flipped(data, 4, 1),
                    data[:4] + b"\x02" + b"\xee" * 11,
                    sealed(flipped(data, 7, 3)),
                    with_section(data, 7),
                ):
                    with self.subTest(name=name, newer=newer[:16].hex()):
                        self.assertRaises(NewerFormat, Header, newer, kind, list_hash, KNOWN)

    def test_the_list_of_a_newer_commit(self) -> None:
        for golden in LISTS:
            objects = golden.objects()
            newest = min(name for name in objects if "/log/" in name)
            for newer in (flipped(objects[newest], 4, 2), with_section(objects[newest], 7)):
                store = Memory(objects | {newest: newer})
                with self.assertRaisesRegex(NewerFormat, newest):
                    read_list(store, golden.name, golden.keyspace)


if __name__ == "__main__":
    unittest.main()
