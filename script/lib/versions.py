"""Compares every version that a file states with the one that Cargo.toml has, or writes another one everywhere.

    versions.py              fails where one differs
    versions.py 0.2.0        writes 0.2.0 everywhere; Cargo.lock follows with `cargo update --workspace`
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent.parent
VERSION = r"(\d+\.\d+\.\d+)"

# Where klstore's own version is stated: a file, the words around it (one group), and the fewest places to be found.
STATED = [
    ("Cargo.toml", rf'^version = "{VERSION}"$', 1),
    ("Cargo.toml", rf'^klstore-[a-z0-9-]+ = {{ path = "[^"]+", version = "{VERSION}" }}$', 9),
    ("reader/npm/package.json", rf'^  "version": "{VERSION}"', 1),
    ("reader/npm/package-lock.json", rf'\A{{\s+"name": "klstore",\s+"version": "{VERSION}"', 1),
    ("reader/npm/package-lock.json", rf'"": {{\s+"name": "klstore",\s+"version": "{VERSION}"', 1),
    ("web-demo/package.json", rf'^  "version": "{VERSION}"', 1),
    ("web-demo/package-lock.json", rf'\A{{\s+"name": "klstore-web-demo",\s+"version": "{VERSION}"', 1),
    ("web-demo/package-lock.json", rf'"": {{\s+"name": "klstore-web-demo",\s+"version": "{VERSION}"', 1),
    ("README.md", rf"^Version {VERSION}:", 1),
    ("docs/README.md", rf"klstore {VERSION}", 1),
]

# How it is stated in any text: in what somebody is told to install, and in the names of files.
ANYWHERE = [
    rf"klstore(?:-[a-z0-9]+)*@\^?{VERSION}",
    rf'klstore-[a-z0-9-]+ = "{VERSION}"',
    rf'klstore-[a-z0-9-]+ = {{ version = "{VERSION}"',
    rf'"klstore": "\^{VERSION}"',
    rf"klstore-{VERSION}(?:\.tgz|-x86_64)",
    rf"klstore/klstore/(?:blob|tree)/v{VERSION}",
]
TEXTS = ["*.md", "*/package.json"]
# What they tell is past.
PAST = ["CHANGELOG.md"]

RUST_STATED = [
    ("README.md", r"Rust (\d+\.\d+(?:\.\d+)?) or newer", 1),
    ("CONTRIBUTING.md", r"Rust (\d+\.\d+(?:\.\d+)?)", 1),
]
# The crates that are published.
RUST_CRATES = ["format", "credentials", "reader", "writer", "config", "bridge", "s3-server", "cli"]
RUST_STATED += [(f"{crate}/README.md", RUST_STATED[0][1], 1) for crate in RUST_CRATES]


def main(new=None):
    places = stated_places()
    problems = []
    version = only_version_of("Cargo.toml", STATED[0][1])
    if new is None:
        for file, pattern, fewest in places:
            problems += differing(file, pattern, fewest, version)
        rust = only_version_of("Cargo.toml", r'^rust-version = "(.*)"$')
        for file, pattern, fewest in RUST_STATED:
            problems += differing(file, pattern, fewest, rust)
        problems += needs_newer_rust(rust) + wrong_format_version() + wrong_changelog(version)
    elif not re.fullmatch(VERSION, new):
        problems = [f"{new} is no version: three numbers with dots"]
    else:
        for file, pattern, _ in places:
            write(file, pattern, new)
        subprocess.run(["cargo", "update", "--workspace", "--offline", "--quiet"], check=True, cwd=ROOT)
    for problem in problems:
        print(problem)
    print(f"{len(places)} places state klstore {new or version}" if not problems else f"{len(problems)} to correct")
    return 1 if problems else 0


def stated_places():
    texts = subprocess.run(["git", "ls-files", *TEXTS], check=True, capture_output=True, encoding="utf-8", cwd=ROOT)
    return STATED + [
        (file, pattern, 1)
        for file in texts.stdout.splitlines()
        if file not in PAST
        for pattern in ANYWHERE
        if re.search(pattern, text_of(file), re.MULTILINE)
    ]


def differing(file, pattern, fewest, version):
    found = re.findall(pattern, text_of(file), re.MULTILINE)
    problems = [f"{file} says {other}, and Cargo.toml {version}" for other in found if other != version]
    if len(found) < fewest:
        problems.append(f"{file} states a version in {len(found)} places and not {fewest}: {pattern}")
    return problems


def write(file, pattern, version):
    def replaced(match):
        before, after = match.start(1) - match.start(), match.end(1) - match.start()
        return match[0][:before] + version + match[0][after:]

    (ROOT / file).write_text(re.sub(pattern, replaced, text_of(file), flags=re.MULTILINE), encoding="utf-8")


def needs_newer_rust(rust):
    """A user's cargo would refuse a dependency that says it needs a newer one."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    metadata = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", cwd=ROOT)
    packages = json.loads(metadata.stdout)["packages"]
    return [
        f"{package['name']} {package['version']} needs Rust {package['rust_version']}, and Cargo.toml says {rust}"
        for package in packages
        if package["rust_version"] and numbers(package["rust_version"]) > numbers(rust)
    ] + [
        f"bridge/deploy/Dockerfile builds with Rust {image}, and Cargo.toml says {rust}"
        for image in re.findall(r"^FROM rust:([\d.]+)", text_of("bridge/deploy/Dockerfile"), re.MULTILINE)
        if numbers(image) < numbers(rust)
    ]


def wrong_format_version():
    """The page and the README name the version that the code writes."""
    version = only_version_of("format/src/wire/preamble.rs", r"^pub const FORMAT_VERSION: u32 = (\d+);")
    wanted = {"docs/FORMAT.md": f"objects, version {version}\n", "README.md": f"object format is version {version} "}
    return [f"{file} does not say '{words.strip()}'" for file, words in wanted.items() if words not in text_of(file)]


def wrong_changelog(version):
    """Each release has a link; the newest is the version of Cargo.toml, or one before it."""
    text = text_of("CHANGELOG.md")
    headings = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    links = re.findall(r"^\[([^\]]+)\]: \S+$", text, re.MULTILINE)
    problems = [f"CHANGELOG.md has no link for {heading}" for heading in headings if heading not in links]
    if headings[:1] != ["Unreleased"]:
        problems.append("CHANGELOG.md does not begin with [Unreleased]")
    if headings[1:] and numbers(headings[1]) > numbers(version):
        problems.append(f"CHANGELOG.md has {headings[1]}, and Cargo.toml {version}")
    return problems


def only_version_of(file, pattern):
    found = re.findall(pattern, text_of(file), re.MULTILINE)
    if len(found) != 1:
        sys.exit(f"{file} has {len(found)} lines like {pattern}, not one")
    return found[0]


def text_of(file):
    return (ROOT / file).read_text(encoding="utf-8")


def numbers(version):
    return ([int(number) for number in version.split(".")] + [0, 0])[:3]


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
