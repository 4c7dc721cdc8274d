"""Records golden lists of a format version with the release that writes it: once, for ever.

python record.py KLSTORE FOLDER      (FOLDER such as format/tests/golden/v2; what is there already is refused)

The list of format/tests/golden.rs is made entity by entity; these come out of whole writers: trimmed, compacted, with
stubs and complete commits. What they hold is written beside them from what was appended, not from what is read.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from botocore.session import Session
from klstore_lists.__main__ import line_of
from klstore_lists.blocks import Item
from server import ACCESS_KEY, SECRET_KEY, run, serving

BUCKET, KEYSPACE = "golden", "sensors"
SETTINGS = "[s3]\nbucket_name=golden\ncompact_items_threshold=200\ncompact_objects_threshold=10\n"


class Recording:
    def __init__(self, klstore: str, endpoint: str, key: str, config: Path) -> None:
        self._at, self._key, self._config = (klstore, endpoint, BUCKET), key, config
        self.items: list[Item] = []
        self.start = 0

    def klstore(self, *arguments: str, input: str = "") -> None:
        ran = run(*self._at, [*arguments, "--config", str(self._config)], input)
        if ran.returncode:
            raise SystemExit(f"{arguments}: {ran.stderr}")

    def append(self, count: int, with_nonce: int) -> None:
        """By a session of its own. Every `with_nonce`th item has a nonce; 0: none."""
        lines = []
        for _ in range(count):
            offset = len(self.items)
            # Not sorted: each seventh is late.
            timestamp = 1_600_000_000_000 + offset * 60_000 - (90_000_000 if offset % 7 == 3 else 0)
            nonce = 1_000 + offset * 3 if with_nonce and offset % with_nonce == 0 else None
            value = f'{{"sensor":"{self._key}","reading":{offset * 37 % 101}.{offset % 10}}}'
            self.items.append(Item(offset, timestamp, nonce, value.encode()))
            lines.append(json.dumps({"value": value, "timestamp": timestamp, "nonce": nonce}) + "\n")
        self.klstore("append", KEYSPACE, self._key, "--format", "ndjson", input="".join(lines))

    def trim(self, start: int) -> None:
        self.klstore("trim", KEYSPACE, self._key, "--before-offset", str(start))
        self.start = start

    def compact(self) -> None:
        self.klstore("compact", KEYSPACE, self._key)


def kitchen(list: Recording) -> None:
    for _ in range(24):
        list.append(5, with_nonce=1)
    list.compact()
    list.append(220, with_nonce=0)  # complete in itself
    for _ in range(12):
        list.append(4, with_nonce=3)
    list.trim(70)  # in the middle of the segment
    list.compact()
    for count in (3, 2, 9, 1):
        list.append(count, with_nonce=2)


def cellar(list: Recording) -> None:
    list.append(3, with_nonce=1)
    list.append(2, with_nonce=1)
    list.trim(5)


def main(klstore: str, folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (config := temporary / "config.ini").write_text(SETTINGS)
        endpoint = stack.enter_context(serving(klstore, temporary / "objects", BUCKET))
        if run(klstore, endpoint, BUCKET, ["keyspace", "create", KEYSPACE]).returncode:
            raise SystemExit("the keyspace was not created")
        for make in (kitchen, cellar):
            list = Recording(klstore, endpoint, make.__name__, config)
            make(list)
            items = "".join(line_of(item) + "\n" for item in list.items[list.start :])
            write(folder / f"{KEYSPACE}.{make.__name__}.ndjson", items.encode())
        for name, data in objects(endpoint):
            write(folder / name, data)


def objects(endpoint: str) -> Iterator[tuple[str, bytes]]:
    s3 = Session().create_client(
        "s3", "us-east-1", endpoint_url=endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY
    )
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", []):
            yield entry["Key"], s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
