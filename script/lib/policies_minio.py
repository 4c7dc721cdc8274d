"""Tries docs/policies on MinIO, with a real user for each role: what the role needs works, all else is refused.

Started by script/policies, which brings the binaries: policies_minio.py MINIO KLSTORE
"""

import io
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, S3Error

BUCKET = "my-bucket"
ROOT_KEY, ROOT_SECRET = "AKROOT", "a-secret-of-the-root"
POLICIES = Path(__file__).resolve().parents[2] / "docs" / "policies"
# What lies beside the prefix, and nobody is to reach.
OUTSIDE = "other/private.txt"
LIST = "team/flights/lists/N14228/"
VISITOR = "anonymous"
COMMIT_DENIED, DENIED = 5, "AccessDenied"


class Roles:
    def __init__(self, minio, klstore):
        self.klstore_path = klstore
        self.judged, self.failed = 0, 0
        # The roles whose policy MinIO takes with all its conditions.
        self.as_they_are = set()
        self.folder = tempfile.TemporaryDirectory()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.admin = MinioAdmin(endpoint=self.address, credentials=StaticProvider(ROOT_KEY, ROOT_SECRET), secure=False)
        self.root = self.client(ROOT_KEY, ROOT_SECRET)
        environment = {
            **os.environ, "MINIO_ROOT_USER": ROOT_KEY, "MINIO_ROOT_PASSWORD": ROOT_SECRET,
            "MINIO_UPDATE": "off", "MINIO_BROWSER": "off",
        }
        command = [minio, "server", "--quiet", "--address", self.address, self.folder.name]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_until_up(self):
        for _ in range(150):
            try:
                self.root.make_bucket(BUCKET)
                return
            except Exception:  # not up yet
                if self.process.poll() is not None:
                    sys.exit("minio has ended")
                time.sleep(0.2)
        sys.exit("minio does not answer")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def objects(self, prefix):
        """What lies below a prefix: ETag and size by name."""
        listed = self.root.list_objects(BUCKET, prefix=prefix, recursive=True)
        return {one.object_name: (one.etag, one.size) for one in listed}

    def client(self, key=None, secret=None):
        return Minio(self.address, key, secret, secure=False, region="us-east-1")

    def add(self, role):
        """A user with the policy as it stands in the file; where MinIO does not know a condition, without it."""
        policy = json.loads((POLICIES / f"{role}.json").read_text())
        try:
            self.admin.policy_add(role, policy=policy)
            self.as_they_are.add(role)
        except MinioAdminException as error:
            for statement in policy["Statement"]:
                if "Null" in statement.get("Condition", {}):
                    del statement["Condition"]
            print(f"{role}: MinIO refuses the policy as it is, tried without its condition Null ({reason(error)})")
            self.admin.policy_add(role, policy=policy)
        self.admin.user_add(role, f"secret-of-{role}")
        self.admin.policy_set(role, user=role)
        return role

    def klstore(self, role, arguments, text=""):
        secret = ROOT_SECRET if role == ROOT_KEY else f"secret-of-{role}"
        environment = {
            "PATH": os.environ["PATH"], "HOME": self.folder.name, "AWS_ACCESS_KEY_ID": role,
            "AWS_SECRET_ACCESS_KEY": secret, "AWS_EC2_METADATA_DISABLED": "true",
            "KLSTORE_ENDPOINT": f"http://{self.address}", "KLSTORE_BUCKET": BUCKET, "KLSTORE_PREFIX": "team/",
            "KLSTORE_PATH_STYLE": "true",
        }
        ran = subprocess.run(
            [self.klstore_path, *arguments], input=text, env=environment, capture_output=True, text=True, timeout=120
        )
        return ran

    def may(self, role, arguments, text="", says=""):
        ran = self.klstore(role, arguments, text)
        self.judge(role, "klstore " + " ".join(arguments), ran.returncode == 0 and says in ran.stdout + ran.stderr, "works",
                   ran.stdout + ran.stderr)

    def may_not(self, role, arguments, text=""):
        ran = self.klstore(role, arguments, text)
        refused = ran.returncode == COMMIT_DENIED and "not allowed" in ran.stderr + ran.stdout or DENIED in ran.stderr
        self.judge(role, "klstore " + " ".join(arguments), refused, "is refused", ran.stdout + ran.stderr)

    def raw_refused(self, role, what, request):
        """A request of the S3 API itself, as someone sends it who does not use klstore."""
        try:
            request(self.client() if role == VISITOR else self.client(role, f"secret-of-{role}"))
            self.judge(role, what, False, "is refused", "it worked")
        except S3Error as error:
            self.judge(role, what, error.code == DENIED, "is refused", str(error))

    def judge(self, role, what, good, expected, said=""):
        self.judged += 1
        print(f"{'ok  ' if good else 'FAIL'} {role:30} {expected:11} {what}")
        if not good:
            self.failed += 1
            print("     " + said.strip().replace("\n", "\n     "))


def reason(error):
    message = re.search('"Message":"([^"]*)"', str(error))
    return message.group(1) if message else str(error).splitlines()[0][:200]


def put(name):
    return lambda client: client.put_object(BUCKET, name, io.BytesIO(b"x"), 1)


def get(name):
    return lambda client: client.get_object(BUCKET, name)


def delete(name):
    return lambda client: client.remove_object(BUCKET, name)


def ls(prefix):
    return lambda client: list(client.list_objects(BUCKET, prefix=prefix))


def lines(first, count):
    return "".join('{"value":"row %d","nonce":%d}\n' % (n, n) for n in range(first, first + count))


def small_appends(roles, role, key, first, count):
    """So many commits, enough for a compaction and its collection."""
    failed = ""
    for number in range(first, first + count):
        ran = roles.klstore(role, ["append", "flights", key, "--format", "ndjson"], lines(number, 1))
        failed = failed if ran.returncode == 0 else ran.stderr
    roles.judge(role, f"{count} appends of one row to {key}", not failed, "work", failed)


def freed(roles, role, before):
    """Of the commits that a compaction has taken in, some are emptied or gone."""
    now = roles.objects(LIST)
    freed = [name for name, (_, size) in before.items() if size and now.get(name, ("", 0))[1] == 0]
    roles.judge(role, "objects are emptied or deleted", freed, "works", f"all are there of {before}")


def main():
    roles = Roles(*sys.argv[1:3])
    try:
        roles.wait_until_up()
        run(roles)
    finally:
        roles.stop()
    print(f"{roles.judged - roles.failed} passed, {roles.failed} failed")
    sys.exit(roles.failed > 0)


def run(roles):
    root = roles.root
    root.put_object(BUCKET, OUTSIDE, io.BytesIO(b"private"), 7)
    roles.may(ROOT_KEY, ["keyspace", "create", "flights"])
    roles.may(ROOT_KEY, ["append", "flights", "N99", "--format", "ndjson"], lines(0, 50))
    roles.may(ROOT_KEY, ["append", "flights", "N14228", "--format", "ndjson"], lines(0, 50))
    log = LIST + "log/"
    commit = next(iter(root.list_objects(BUCKET, prefix=log))).object_name

    def stays_inside(role):
        roles.raw_refused(role, f"GET {OUTSIDE}", get(OUTSIDE))
        roles.raw_refused(role, "LIST other/", ls("other/"))
        roles.raw_refused(role, "LIST of the whole bucket", ls(""))
        roles.raw_refused(role, f"PUT {OUTSIDE}", put(OUTSIDE))
        roles.raw_refused(role, f"DELETE {OUTSIDE}", delete(OUTSIDE))

    reader = roles.add("reader")
    roles.may(reader, ["page", "flights", "N14228"], says="row 49")
    roles.may(reader, ["key", "ls", "flights"], says="N99")
    roles.may(reader, ["keyspace", "ls"], says="flights")
    roles.may(reader, ["stat", "flights", "N14228"])
    roles.may(reader, ["verify", "flights"])
    roles.may(reader, ["gc", "flights", "--dry-run"])
    roles.may_not(reader, ["append", "flights", "N14228"], "x\n")
    roles.may_not(reader, ["keyspace", "create", "more"])
    roles.raw_refused(reader, "PUT of a commit", put(log + "0" * 16))
    roles.raw_refused(reader, "DELETE of a commit", delete(commit))
    stays_inside(reader)

    one = roles.add("reader-of-one-list")
    roles.may(one, ["page", "flights", "N14228"], says="row 49")
    roles.may_not(one, ["page", "flights", "N99"])
    roles.may_not(one, ["key", "ls", "flights"])
    roles.may_not(one, ["keyspace", "ls"])
    roles.may_not(one, ["append", "flights", "N14228"], "x\n")
    roles.raw_refused(one, "LIST of the keys", ls("team/flights/lists/"))
    roles.raw_refused(one, "GET of another list's commit", get(commit.replace("N14228", "N99")))
    stays_inside(one)

    writer = roles.add("writer")
    roles.may(writer, ["keyspace", "create", "telemetry"])
    small_appends(roles, writer, "N14228", 50, 20)
    before = roles.objects(LIST)
    roles.may(writer, ["compact", "flights", "N14228"])
    roles.may(writer, ["append", "flights", "N14228", "--format", "ndjson"], lines(70, 10))
    roles.may(writer, ["gc", "flights"])
    freed(roles, writer, before)
    roles.may(writer, ["verify", "flights"])
    roles.raw_refused(writer, "DELETE of keyspace.json", delete("team/flights/keyspace.json"))
    stays_inside(writer)

    careful = roles.add("writer-that-destroys-nothing")
    before = roles.objects("team/")
    small_appends(roles, careful, "N14228", 80, 20)
    roles.may(careful, ["compact", "flights", "N14228"])
    roles.may(careful, ["append", "flights", "N14228", "--format", "ndjson"], lines(100, 10))
    roles.may(careful, ["page", "flights", "N14228", "--order", "backwards"], says="row 109")
    roles.raw_refused(careful, "DELETE of a commit", delete(commit))
    roles.raw_refused(careful, "DELETE of a segment", delete(LIST + "seg/x"))
    roles.raw_refused(careful, "DELETE of keyspace.json", delete("team/flights/keyspace.json"))
    stays_inside(careful)
    now = roles.objects("team/")
    roles.judge(careful, "to delete anything", before.keys() <= now.keys(), "is refused", str(before.keys() - now.keys()))
    if careful in roles.as_they_are:
        changed = before.items() - now.items()
        roles.judge(careful, "to change anything", not changed, "is refused", str(changed))

    collector = roles.add("collector")
    roles.may(collector, ["gc", "flights", "--dry-run"])
    before = roles.objects(LIST)
    roles.may(collector, ["gc", "flights"])
    freed(roles, collector, before)
    roles.raw_refused(collector, "PUT of a segment", put(LIST + "seg/x"))
    roles.raw_refused(collector, "PUT of an index page", put(LIST + "idx/x"))
    roles.raw_refused(collector, "DELETE of keyspace.json", delete("team/flights/keyspace.json"))
    stays_inside(collector)

    root.set_bucket_policy(BUCKET, (POLICIES / "public-read.json").read_text())
    roles.may(ROOT_KEY, ["--anonymous", "page", "flights", "N14228", "--order", "backwards"], says="row 109")
    roles.may_not(ROOT_KEY, ["--anonymous", "append", "flights", "N14228"], "x\n")
    roles.raw_refused(VISITOR, "DELETE of a commit", delete(commit))
    stays_inside(VISITOR)
    roles.may(ROOT_KEY, ["verify", "flights"])
    ran = roles.klstore(ROOT_KEY, ["read", "flights", "N14228", "--output", "text"])
    whole = [f"row {number}" for number in range(110)]
    roles.judge(ROOT_KEY, "all 110 rows are there once, in order", ran.stdout.split("\n")[:-1] == whole, "works", ran.stderr)


main()
