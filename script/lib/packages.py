"""Checks what each crate that is published would hold, without compiling anything.

    packages.py          prints each crate's number of files and bytes, and fails where something lacks or is too much
"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent.parent
NEEDED = ["Cargo.toml", "README.md", "LICENSE-APACHE", "LICENSE-MIT"]
# What a crate cannot be compiled, or its data cannot be read, without.
ALSO_NEEDED = {
    "klstore-cli": ["flights.csv.zst", "src/main.rs"],
    "klstore-bridge": ["src/main.rs", "src/lib.rs"],
}
# Of all files but the flights, which are 4.9 MB and what `klstore demo` shows.
LARGEST_FILE = 200_000
LARGEST_PACKAGE = 1_500_000
HEAVY_ON_PURPOSE = {"klstore-cli": ["flights.csv.zst"]}
# crates.io refuses more.
MOST_KEYWORDS = MOST_CATEGORIES = 5


def main():
    metadata = json.loads(cargo("metadata", "--locked", "--no-deps", "--format-version", "1"))
    published = [package for package in metadata["packages"] if package["publish"] is None]
    names = {package["name"] for package in published}
    problems = []
    for package in published:
        files = cargo("package", "--list", "--locked", "--allow-dirty", "-p", package["name"]).splitlines()
        sizes = {file: size_of(package, file) for file in files}
        print(f"{package['name']} {package['version']}: {len(files)} files, {sum(sizes.values()):,} bytes")
        problems += [f"{package['name']}: {problem}" for problem in wrong_files(package, sizes)]
        problems += [f"{package['name']}: {problem}" for problem in wrong_manifest(package, names)]
    if not published:
        problems.append("no crate is published")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def wrong_files(package, sizes):
    for file in NEEDED + ALSO_NEEDED.get(package["name"], ["src/lib.rs"]):
        if sizes.get(file, 0) == 0:
            yield f"{file} is not in the package"
    light = {file: size for file, size in sizes.items() if file not in HEAVY_ON_PURPOSE.get(package["name"], [])}
    for file, size in light.items():
        if size > LARGEST_FILE:
            yield f"{file} has {size:,} bytes"
    if sum(light.values()) > LARGEST_PACKAGE:
        yield f"{sum(light.values()):,} bytes are more than {LARGEST_PACKAGE:,}"


def wrong_manifest(package, published):
    for field in ["description", "license", "repository", "readme", "rust_version", "keywords", "categories"]:
        if not package[field]:
            yield f"Cargo.toml has no {field}"
    if len(package["keywords"]) > MOST_KEYWORDS or len(package["categories"]) > MOST_CATEGORIES:
        yield "crates.io takes five keywords and five categories at most"
    if not ((package["metadata"] or {}).get("docs") or {}).get("rs"):
        yield "Cargo.toml does not say how docs.rs builds it: [package.metadata.docs.rs]"
    for dependency in package["dependencies"]:
        if dependency.get("path") and dependency["name"] not in published:
            yield f"it depends on {dependency['name']}, which is not published"
        if dependency.get("path") and dependency["req"] == "*":
            yield f"no version of {dependency['name']} is named"


def size_of(package, file):
    """Of what cargo adds, the lock file and the commit, nothing is there."""
    path = pathlib.Path(package["manifest_path"]).parent / file
    return path.stat().st_size if path.is_file() else 0


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, encoding="utf-8", cwd=ROOT).stdout


if __name__ == "__main__":
    sys.exit(main())
