"""The golden lists, of each released format version, are read: every object of theirs, and every item."""

import unittest

from golden import FOLDER, LISTS
from klstore_lists.__main__ import line_of
from klstore_lists.commit import read_commit
from klstore_lists.errors import NotFound
from klstore_lists.index import read_head, read_leaf, read_ledger
from klstore_lists.keyspace import read_keyspace
from klstore_lists.names import ListName, ObjectId
from klstore_lists.reading import keys, read_list
from klstore_lists.segment import read_segment
from klstore_lists.store import Folder


class Golden(unittest.TestCase):
    def test_there_is_no_golden_list_that_is_not_read(self) -> None:
        there = {
            (version.name, keyspace.name, key)
            for version in FOLDER.glob("v*")
            for keyspace in version.iterdir()
            if keyspace.is_dir()
            for key in keys(Folder(version), keyspace.name)
        }
        self.assertEqual(there, {(golden.version, golden.keyspace, golden.key) for golden in LISTS})

    def test_every_item_is_read(self) -> None:
        for golden in LISTS:
            for use_carry in (True, False):
                with self.subTest(golden=golden, use_carry=use_carry):
                    snapshot = read_list(Folder(golden.folder), golden.name, golden.keyspace, use_carry)
                    self.assertEqual([line_of(item) for item in snapshot.items], golden.items)

    def test_every_object_is_read_alone_and_is_what_refers_to_it(self) -> None:
        for golden in LISTS:
            with self.subTest(golden=golden):
                self._check_objects(golden.objects(), golden.name, golden.keyspace)

    def _check_objects(self, objects: dict[str, bytes], name: ListName, keyspace: str) -> None:
        left = set(objects)

        def take(object_name: str) -> bytes:
            left.remove(object_name)
            return objects[object_name]

        read_keyspace(take(name.keyspace_object), keyspace)
        commits = {}
        for object_name in sorted(left):
            if object_name.startswith(name.log):
                seq = name.seq_of(object_name)
                data = take(object_name)
                if data:  # else a stub
                    commits[seq] = read_commit(data, name.hash)
                    self.assertEqual((commits[seq].identity.seq, commits[seq].length), (seq, len(data)))
        newest = commits[max(commits)]
        for entry in newest.table:
            if entry.identity.seq in commits:
                self.assertTrue(commits[entry.identity.seq].is_as_told(entry))
        if newest.manifest.index:
            id, length = newest.manifest.index
            page = take(name.page(id))
            self.assertEqual(len(page), length)
            head = read_head(page, name.hash, id)
            entries = []
            for leaf in head.leaves:
                entries += read_leaf(take(name.page(leaf.id)), name.hash, leaf)
            for entry in entries + head.open:
                if isinstance(entry.what, ObjectId):
                    segment = read_segment(take(name.segment(entry.what)), name.hash, entry.what)
                    self.assertEqual((segment.run, segment.blocks), (entry.run, entry.blocks))
                else:
                    commit = commits[entry.what.seq]
                    self.assertEqual((commit.identity, commit.run, commit.own), (entry.what, entry.run, entry.blocks))
            handovers = [
                handover
                for ledger in head.ledgers
                for handover in read_ledger(take(name.page(ledger.id)), name.hash, ledger)
            ] + head.handovers
            self.assertEqual([each.seq for each in handovers], sorted({each.seq for each in handovers}))
            for handover in handovers:
                if handover.seq in commits:
                    self.assertEqual(commits[handover.seq].identity.session, handover.session)
        self.assertEqual(left, set(), "objects that nothing refers to")

    def test_the_sources_of_version_1(self) -> None:
        golden = LISTS[0]
        commit = read_list(Folder(golden.folder), golden.name, golden.keyspace).commit
        self.assertEqual(commit and commit.sources, {"gates": {0: 7, 130: 1}, "inbound": {1: 300}})

    def test_a_list_without_commits_is_empty_where_there_is_its_keyspace(self) -> None:
        folder = Folder(LISTS[0].folder)
        self.assertEqual(read_list(folder, ListName("flights", "none"), "flights").items, [])
        with self.assertRaises(NotFound):
            read_list(folder, ListName("trains", "none"), "trains")


if __name__ == "__main__":
    unittest.main()
