"""Where objects are: in a folder, or on an S3 server that lets anybody read."""

import hashlib
import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from .errors import Corrupt, ListError

_LISTING_BYTES = 4 << 20


class Part(NamedTuple):
    data: bytes
    etag: str


class Store(Protocol):
    def first(self, prefix: str) -> tuple[str, str] | None:
        """The first name with this prefix, and its ETag; no name that begins with a dot, which is the store's own."""

    def read(self, name: str, begin: int, length: int) -> Part | None:
        """At most `length` bytes from `begin` on, fewer where the object ends; nothing where there is no object."""

    def folders(self, prefix: str) -> Iterator[str]:
        """What lies directly under the prefix, each ending with a slash."""


class Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def first(self, prefix: str) -> tuple[str, str] | None:
        # Prefixes end with a slash here.
        folder = self._path / prefix
        names = sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".") if folder.is_dir() else []
        if not names:
            return None
        return prefix + names[0], _etag((folder / names[0]).read_bytes())

    def read(self, name: str, begin: int, length: int) -> Part | None:
        try:
            data = (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        return Part(data[begin : begin + length], _etag(data))

    def folders(self, prefix: str) -> Iterator[str]:
        for entry in sorted((self._path / prefix).iterdir()):
            yield f"{prefix}{entry.name}/"


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class S3:
    """Over one connection, which is kept."""

    def __init__(self, endpoint: str, bucket: str) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{endpoint!r} is not the URL of a server")
        connection = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = connection(url.hostname, url.port, timeout=30)
        self._bucket = f"{url.path.rstrip('/')}/{quote(bucket)}"

    def close(self) -> None:
        self._connection.close()

    def first(self, prefix: str) -> tuple[str, str] | None:
        for entry in self._list(prefix=prefix, **{"max-keys": "1", "start-after": f"{prefix}.~"}).iterfind("{*}Contents"):
            return entry.findtext("{*}Key", ""), entry.findtext("{*}ETag", "")
        return None

    def read(self, name: str, begin: int, length: int) -> Part | None:
        asked = {"Range": f"bytes={begin}-{begin + length - 1}"}
        status, data, headers = self._get(f"{self._bucket}/{quote(name, safe='/~')}", asked, length)
        if status == 404:
            return None
        if status == 416:  # nothing there: so it is for an object of 0 bytes
            return Part(b"", "")
        if status == 200 and begin:
            raise ListError(f"GET {name}: the server does not know ranges")
        return Part(data, headers.get("ETag", ""))

    def folders(self, prefix: str) -> Iterator[str]:
        more = {}
        while True:
            listing = self._list(prefix=prefix, delimiter="/", **more)
            for entry in listing.iterfind("{*}CommonPrefixes/{*}Prefix"):
                yield entry.text or ""
            token = listing.findtext("{*}NextContinuationToken")
            if not token:
                return
            more = {"continuation-token": token}

    def _list(self, **parameters: str) -> ElementTree.Element:
        query = urlencode({"list-type": "2", **parameters}, quote_via=quote)
        _, data, _ = self._get(f"{self._bucket}?{query}", {}, _LISTING_BYTES)
        if re.search(rb"<!(DOCTYPE|ENTITY)", data):
            raise Corrupt("a listing with a document type")
        try:
            return ElementTree.fromstring(data)
        except ElementTree.ParseError as error:
            raise Corrupt(f"a listing that is not XML: {error}") from error

    def _get(self, path: str, headers: dict[str, str], at_most: int) -> tuple[int, bytes, http.client.HTTPMessage]:
        try:
            self._connection.request("GET", path, headers=headers)
            answer = self._connection.getresponse()
            data = answer.read(at_most + 1)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ListError(f"GET {path}: {error!r}") from error
        if not answer.isclosed():
            self._connection.close()  # with what is left unread
        if answer.status not in (200, 206) and not (headers and answer.status in (404, 416)):
            raise ListError(f"GET {path}: {answer.status} {data[:300]!r}")
        if len(data) > at_most and answer.status in (200, 206):
            raise Corrupt(f"GET {path}: more than the {at_most} bytes that were asked for")
        return answer.status, data, answer.headers
