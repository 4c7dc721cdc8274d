"""Every flight of data/ comes back out of klstore's lists, byte for byte, read over HTTP by a reader that is not klstore's.

python flights.py KLSTORE FOLDER

KLSTORE is the command, FOLDER what `klstore demo --exit --dir FOLDER` has left; where it is not there, that is done first.
"""

import contextlib
import functools
import subprocess
import sys
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import zstandard
from golden import REPOSITORY
from klstore_lists.names import ListName
from klstore_lists.reading import keys, read_list
from klstore_lists.store import S3
from server import serving

KEYSPACE, BUCKET = "flights", "demo"
ROWS = 336_776
TEXT_COLUMNS = {"carrier", "tailnum", "origin", "dest", "time_hour"}

Flight = tuple[int, int, bytes]  # timestamp, nonce, value


def main(klstore: str, folder: Path) -> None:
    if not folder.exists():
        subprocess.run([klstore, "demo", "--exit", "--dir", folder], check=True)
    with contextlib.ExitStack() as stack:
        endpoint = stack.enter_context(serving(klstore, folder, BUCKET))
        flights = source()
        began = time.monotonic()
        store = stack.enter_context(contextlib.closing(S3(endpoint, BUCKET)))
        found = list(keys(store, KEYSPACE))
        if found != sorted(flights):
            raise SystemExit(f"{len(found)} lists, of {len(flights)} aircraft")
        where = compare(store, flights)
    rows = sum(map(len, flights.values()))
    if rows != ROWS:
        raise SystemExit(f"{rows} flights in data/")
    seconds = time.monotonic() - began
    print(f"{rows:,} flights of {len(flights):,} lists, each equal to the source's: {seconds:.1f} s; {where}")


def source() -> dict[str, list[Flight]]:
    """The flights of each aircraft: the columns as JSON, the row's number as nonce, the scheduled departure as time."""
    with zstandard.open(REPOSITORY / "data/flights.csv.zst", "rt") as lines:
        columns = next(lines).rstrip("\n").split(",")
        hour, minute, aircraft = (columns.index(name) for name in ("time_hour", "minute", "tailnum"))
        # No cell holds what JSON would escape (data/README.md).
        shown = [f'"{column}":"%s"' if column in TEXT_COLUMNS else f'"{column}":%s' for column in columns]
        missing = [f'"{column}":null' for column in columns]
        flights = defaultdict(list)
        for number, line in enumerate(lines):
            cells = line.rstrip("\n").split(",")
            fields = (show % cell if cell else null for show, null, cell in zip(shown, missing, cells, strict=True))
            timestamp = _milliseconds(cells[hour]) + int(cells[minute]) * 60_000
            value = "{" + ",".join(fields) + "}"
            flights[cells[aircraft] or "unknown"].append((timestamp, number, value.encode()))
    return dict(flights)


@functools.cache
def _milliseconds(hour: str) -> int:
    return round(datetime.fromisoformat(hour.replace("Z", "+00:00")).timestamp()) * 1000


def compare(store: S3, flights: dict[str, list[Flight]]) -> str:
    """Where the items lay, as words."""
    newest = table = indexed = 0
    for key, expected in flights.items():
        snapshot = read_list(store, ListName(KEYSPACE, key), KEYSPACE)
        items, commit = snapshot.items, snapshot.commit
        if [item.offset for item in items] != list(range(len(expected))):
            raise SystemExit(f"list {key} has {len(items)} items of {len(expected)}")
        for item, (timestamp, nonce, value) in zip(items, expected, strict=True):
            if (item.timestamp, item.nonce, item.value) != (timestamp, nonce, value):
                raise SystemExit(f"list {key}: {item} is not flight {nonce}, {value!r}")
        if commit:
            first = commit.table[0].run.first if commit.table else commit.run.first
            carry = commit.carry_start
            newest += len(items) - carry
            table += max(carry - first, 0)
            indexed += min(first, carry)
    if not (newest and table and indexed):
        raise SystemExit("the lists do not have items in all places")
    return f"{newest:,} in newest commits, {table:,} in older ones, {indexed:,} below an index"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
