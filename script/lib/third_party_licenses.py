"""Prints the licences of all crates that are compiled into a crate for WebAssembly, with their texts.

    third_party_licenses.py CRATE

Asks `cargo metadata` which crates those are; equal texts are printed once.
"""

import json
import pathlib
import re
import subprocess
import sys

TARGET = "wasm32-unknown-unknown"
# Run while it is compiled, and not part of what comes out.
BUILD_KINDS = {"proc-macro", "custom-build"}
LICENSE_FILE = re.compile(r"^(licen[cs]e|copying|notice|unlicense)", re.IGNORECASE)


def main(crate):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(identity for identity, package in packages.items() if package["name"] == crate)
    texts = {}
    print("klstore.wasm holds compiled code of these packages, under the licences named.\n")
    for package in sorted(compiled_in(root, nodes, packages), key=lambda package: (package["name"], package["version"])):
        if package["source"] is None:
            continue
        print(f"{package['name']} {package['version']}: {package['license'] or 'see its text below'}")
        print(f"    {package['repository'] or 'https://crates.io/crates/' + package['name']}")
        for text in license_texts(package):
            texts.setdefault(text, []).append(f"{package['name']} {package['version']}")
    print("\nThe Rust standard library: MIT OR Apache-2.0\n    https://github.com/rust-lang/rust")
    for text, names in texts.items():
        print(f"\n{'-' * 80}\n{', '.join(names)}:\n\n{text}")


def compiled_in(root, nodes, packages):
    found, open_ids = set(), [root]
    while open_ids:
        identity = open_ids.pop()
        if identity in found:
            continue
        found.add(identity)
        for dependency in nodes[identity]["deps"]:
            linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            macro = any(BUILD_KINDS & set(target["kind"]) for target in packages[dependency["pkg"]]["targets"] if "proc-macro" in target["kind"])
            if linked and not macro:
                open_ids.append(dependency["pkg"])
    return [packages[identity] for identity in found]


def license_texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(file for file in folder.iterdir() if file.is_file() and LICENSE_FILE.match(file.name))
    # Of a choice of licences the MIT text is enough, and the shortest.
    short = [file for file in files if "mit" in file.name.lower()] or files
    return [file.read_text(errors="replace").strip() for file in short]


if __name__ == "__main__":
    main(sys.argv[1])
