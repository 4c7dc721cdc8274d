"""`klstore s3` on a free port of this machine, which lets anybody read; and the klstore command against it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

ACCESS_KEY, SECRET_KEY = "interop", "interop-secret"
_LIMIT = 120


@contextlib.contextmanager
def serving(klstore: str, folder: Path, bucket: str) -> Iterator[str]:
    """Its endpoint."""
    command = [klstore, "s3", "--dir", folder, "--addr", "127.0.0.1:0", "--bucket", bucket, "--anonymous-read"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment()) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            endpoints = [word.rstrip(",") for word in ready.split() if word.startswith("http://")]
            if not endpoints:
                raise SystemExit(f"klstore s3 said: {ready!r}")
            yield endpoints[0]
        finally:
            process.terminate()
            process.wait(_LIMIT)


def run(
    klstore: str, endpoint: str, bucket: str, arguments: list[str], input: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    environment = _environment() | {"KLSTORE_ENDPOINT": endpoint, "KLSTORE_BUCKET": bucket}
    return subprocess.run(
        [klstore, *arguments], input=input, capture_output=True, text=True, env=environment, timeout=_LIMIT
    )


def _environment() -> dict[str, str]:
    """Without what this machine may say of other stores."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "KLSTORE_"))}
    return kept | {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
