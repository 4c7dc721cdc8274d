"""What is damaged is refused or makes no difference; it never makes another list of it."""

import random
import unittest
from collections.abc import Iterator

from golden import LISTS, GoldenList, Memory, flipped, sealed
from klstore_lists.blocks import Item
from klstore_lists.errors import ListError
from klstore_lists.reading import read_list

SEED = 20130101
FLIPS = 80  # of an object at most


def outcome(golden: GoldenList, store: Memory, use_carry: bool) -> list[Item] | ListError:
    """Any other exception is a failure of the test."""
    try:
        return read_list(store, golden.name, golden.keyspace, use_carry).items
    except ListError as error:
        return error


class Damage(unittest.TestCase):
    def test_a_flipped_bit_is_refused_where_it_is_read(self) -> None:
        for golden in LISTS:
            objects, draw = golden.objects(), random.Random(SEED)
            newest = min(name for name in objects if "/log/" in name)
            refused = 0
            for name, data in objects.items():
                # As the newest commit is read whole only with what it carries, and the others without that.
                use_carry = name == newest
                store = Memory(objects)
                whole = outcome(golden, store, use_carry)
                read = store.was_read.get(name, set())
                for at in sorted(draw.sample(range(len(data)), min(len(data), FLIPS))):
                    bit = draw.randrange(8)
                    with self.subTest(name=name, at=at, bit=bit):
                        if at in read:
                            changed = Memory(objects | {name: flipped(data, at, bit)})
                            self.assertIsInstance(outcome(golden, changed, use_carry), ListError)
                            refused += 1
                self.assertIsInstance(whole, list)
            print(f"{golden.version}/{golden.items_file}: {refused} flipped bits refused")
            self.assertGreater(refused, 50)

    def test_a_changed_object_is_refused_or_makes_no_difference(self) -> None:
        for golden in LISTS:
            objects = golden.objects()
            newest = min(name for name in objects if "/log/" in name)
            for use_carry in (True, False):
                whole = outcome(golden, Memory(objects), use_carry)
                for what, changed in _changes(objects):
                    with self.subTest(what=what, use_carry=use_carry):
                        found = outcome(golden, Memory(changed), use_carry)
                        if newest not in changed and isinstance(found, list):
                            # Without its newest commit a list is what it was before: names are all that tells of it.
                            self.assertEqual(found, whole[: len(found)])
                        elif isinstance(found, list):
                            self.assertEqual(found, whole)

    def test_a_header_that_was_made_to_deceive_is_refused_or_read(self) -> None:
        """With a checksum that is right, items may differ; but nothing else happens than an error of ours."""
        for golden in LISTS:
            objects, draw = golden.objects(), random.Random(SEED)
            refused = 0
            for name, data in objects.items():
                if data.startswith(b"KLST"):
                    header = range(32, int.from_bytes(data[8:12], "little"))
                    for at in draw.sample(header, min(len(header), FLIPS // 2)):
                        byte = draw.choice((0, 0x7F, 0x80, 0xFF, data[at] ^ 1))
                        forged = sealed(data[:at] + bytes([byte]) + data[at + 1 :])
                        refused += isinstance(outcome(golden, Memory(objects | {name: forged}), False), ListError)
            print(f"{golden.version}/{golden.items_file}: {refused} forged headers refused")
            self.assertGreater(refused, 10)


def _changes(objects: dict[str, bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """One object of the list changed as a whole."""
    draw = random.Random(SEED)
    # Of several stubs one will do.
    for name, data in {data: (name, data) for name, data in objects.items()}.values():
        for length in draw.sample(range(len(data)), min(len(data), 8)):
            yield f"{name}: cut to {length} bytes", objects | {name: data[:length]}
        yield f"{name}: more at its end", objects | {name: data + b"\0"}
        yield f"{name}: is gone", {each: objects[each] for each in objects if each != name}
        for other, foreign in objects.items():
            if foreign:
                yield f"{name}: with the content of {other}", objects | {name: foreign}


if __name__ == "__main__":
    unittest.main()
