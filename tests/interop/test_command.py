"""The klstore command (KLSTORE_BIN) and the golden lists: today's release reads them and goes on with them, and refuses
what a newer one would have written into them, before it writes anything."""

import base64
import contextlib
import json
import os
import tempfile
import unittest
from pathlib import Path

import botocore.config
import botocore.session
from golden import LISTS, GoldenList, flipped, sealed, with_last_section_as
from klstore_lists.__main__ import line_of
from klstore_lists.reading import read_list
from klstore_lists.store import S3
from server import ACCESS_KEY, SECRET_KEY, run, serving

KLSTORE = os.environ["KLSTORE_BIN"]
BUCKET = "golden"
NEWER = 7  # the exit code


class Command(unittest.TestCase):
    def setUp(self) -> None:
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        self.endpoint = stack.enter_context(serving(KLSTORE, Path(folder) / "objects", BUCKET))
        self.store = stack.enter_context(contextlib.closing(S3(self.endpoint, BUCKET)))
        self.s3 = botocore.session.Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=botocore.config.Config(s3={"addressing_style": "path"}),
        )
        self.addCleanup(self.s3.close)

    def put(self, objects: dict[str, bytes]) -> None:
        for name, data in objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=name, Body=data)

    def objects(self) -> dict[str, bytes]:
        """All that is in the bucket now."""
        names = [each["Key"] for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        return {name: self.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}

    def klstore(self, *arguments: str, input: str = "") -> tuple[int, str, str]:
        ran = run(KLSTORE, self.endpoint, BUCKET, list(arguments), input)
        return ran.returncode, ran.stdout, ran.stderr

    def test_today_s_release_goes_on_with_a_golden_list(self) -> None:
        for golden in LISTS:
            self.put(golden.objects())
            of_list = (golden.keyspace, golden.key)
            code, out, err = self.klstore("read", *of_list)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual([_read_line(line) for line in out.splitlines()], [_golden_line(each) for each in golden.items])
            code, _, err = self.klstore("verify", *of_list)
            self.assertEqual((code, err), (0, ""))
            for command in (("append", *of_list), ("compact", *of_list), ("append", *of_list)):
                code, _, err = self.klstore(*command, input="more\n" * 20 if command[0] == "append" else "")
                self.assertEqual((code, err), (0, ""), command)
                # Over HTTP, by the reader that is not klstore's.
                snapshot = read_list(self.store, golden.name, golden.keyspace)
                lines = [line_of(item) for item in snapshot.items]
                self.assertEqual(lines[: len(golden.items)], golden.items)
                self.assertEqual({item.value for item in snapshot.items[len(golden.items) :]}, {b"more"})
            self.assertEqual(len(lines), len(golden.items) + 40)

    def test_what_is_newer_is_refused_before_anything_is_written(self) -> None:
        golden = LISTS[0]
        of_list = (golden.keyspace, golden.key)
        read, append, compact = (("read", *of_list), ("append", *of_list), ("compact", *of_list))
        trim = ("trim", *of_list, "--before-offset", "20")
        elsewhere = (golden.keyspace, "none")  # a list with commits shows by itself what it is
        whole = golden.objects()
        self.put(whole)
        newest = min(name for name in whole if "/log/" in name)
        head, leaf = _pages(golden)
        for name, must_refuse in (
            (newest, [read, append, trim, compact]),
            (head, [read, compact]),
            (leaf, [read]),
            (golden.name.keyspace_object, [append, trim, ("read", *elsewhere), ("append", *elsewhere)]),
        ):
            for newer in _newer(name, whole[name]):
                changed = whole | {name: newer}
                self.put({name: newer})
                for command in must_refuse:
                    with self.subTest(name=name, newer=newer[:8].hex(), command=command):
                        code, _, err = self.klstore(*command, input="more\n" if command[0] == "append" else "")
                        self.assertEqual((code, self.objects()), (NEWER, changed), err)
                        self.assertIn(f"`{name}`", err)
                        self.assertIn("upgrade klstore", err)
            self.put({name: whole[name]})


def _newer(name: str, data: bytes) -> list[bytes]:
    if name.endswith("keyspace.json"):
        return [data.replace(b'"format_version":1', b'"format_version":2')]
    return [flipped(data, 4, 1), sealed(flipped(data, 6, 0)), with_last_section_as(data, 7)]


def _pages(golden: GoldenList) -> tuple[str, str]:
    """The names of the head page and of a leaf page: kinds 3 and 4."""
    kinds = {data[5]: name for name, data in golden.objects().items() if "/idx/" in name}
    return kinds[3], kinds[4]


def _read_line(line: str) -> tuple[int, int, int | None, bytes]:
    item = json.loads(line)
    value = item["value"].encode() if "value" in item else base64.b64decode(item["value_base64"])
    nonce = item.get("nonce")
    return item["offset"], item["timestamp"], None if nonce is None else int(nonce), value


def _golden_line(line: str) -> tuple[int, int, int | None, bytes]:
    item = json.loads(line)
    nonce = item["nonce"]
    return item["offset"], item["timestamp"], None if nonce is None else int(nonce), bytes.fromhex(item["value_hex"])


if __name__ == "__main__":
    unittest.main()
