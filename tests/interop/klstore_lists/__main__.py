"""Prints a list, a JSON object for each item.

python -m klstore_lists FOLDER KEYSPACE KEY
python -m klstore_lists http://HOST:PORT/BUCKET KEYSPACE KEY
"""

import json
import sys
from pathlib import Path

from .blocks import Item
from .errors import ListError
from .names import ListName
from .reading import read_list
from .store import S3, Folder


def line_of(item: Item) -> str:
    nonce = None if item.nonce is None else str(item.nonce)
    fields = {"offset": item.offset, "timestamp": item.timestamp, "nonce": nonce, "value_hex": item.value.hex()}
    return json.dumps(fields, separators=(",", ":"))


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    place, keyspace, key = arguments
    try:
        store = S3(*place.rsplit("/", 1)) if place.startswith(("http://", "https://")) else Folder(Path(place))
        for item in read_list(store, ListName(keyspace, key), keyspace).items:
            print(line_of(item))
    except (ListError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
