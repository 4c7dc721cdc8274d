"""Prints the licences of all crates that are compiled into a crate, with their texts.

    third_party_licenses.py CRATE TARGET PROGRAM [OPTION...]

TARGET is what it is compiled for, PROGRAM what the file is called that holds it, OPTION cargo's, for features. Asks
`cargo tree` which crates those are; equal texts are printed once.
"""

import json
import pathlib
import re
import subprocess
import sys

OUR_LICENSE = pathlib.Path(__file__).parent.parent.parent / "LICENSE-MIT"
LICENSE_FILE = re.compile(r"^(licen[cs]e|copying|notice|unlicense)", re.IGNORECASE)


def main(crate, target, program, *options):
    compiled = compiled_in(crate, target, options)
    packages = [package for package in every_package(target) if (package["name"], package["version"]) in compiled]
    texts = {}
    print(f"{program} holds compiled code of these packages, under the licences named.\n")
    for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
        if package["source"] is None:
            continue
        print(f"{package['name']} {package['version']}: {package['license'] or 'see its text below'}")
        print(f"    {package['repository'] or 'https://crates.io/crates/' + package['name']}")
        for text in license_texts(package):
            texts.setdefault(text, []).append(f"{package['name']} {package['version']}")
    print("\nThe Rust standard library: MIT OR Apache-2.0\n    https://github.com/rust-lang/rust")
    for text, names in texts.items():
        print(f"\n{'-' * 80}\n{', '.join(names)}:\n\n{text}")


def compiled_in(crate, target, options):
    """Names and versions, without what runs only while it is compiled: macros and build scripts.

    Not from the metadata, which knows one set of features for the whole workspace: optional crates that only the writer
    asks for would be among them.
    """
    which = ["-p", crate, "--target", target, *options]
    shown = ["--prefix", "none", "--format", "{p}"]
    compiled = cargo("tree", "--locked", *which, "-e", "normal,no-proc-macro", *shown).splitlines()
    # A build script's dependency that brings a library's sources is compiled in, too.
    compiled += [line for line in cargo("tree", "--locked", *which, *shown).splitlines() if "-src v" in line]
    return {tuple(line.replace(" v", " ", 1).split(" ")[:2]) for line in compiled}


def every_package(target):
    return json.loads(cargo("metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", target))["packages"]


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, capture_output=True, encoding="utf-8").stdout


def license_texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    # Some packages keep them in a folder of that name.
    places = [*folder.iterdir(), *folder.glob("LICENSES/*")]
    files = sorted(file for file in places if file.is_file() and named_as_license(file))
    license = package["license"] or ""
    # Of a choice of licences the MIT text is enough, and the shortest.
    short = [file for file in files if "mit" in file.name.lower() and " AND " not in license] or files
    if package["name"].endswith(("-sys", "-src")):
        # The library in another language that is compiled with it, under a licence of its own.
        places = [file for depth in ("*", "src/*", "c_src/*/*") for file in folder.glob(f"{depth}/LICENSE*")]
        short += sorted(file for file in places if file.is_file())
    texts = [file.read_text(encoding="utf-8", errors="replace").strip() for file in short]
    return texts if files or license != "MIT" else [mit_license_of(package), *texts]


def named_as_license(file):
    return file.parent.name == "LICENSES" or LICENSE_FILE.match(file.name)


def mit_license_of(package):
    """Some packages name the licence and do not hold its text: its terms are the same everywhere."""
    terms = OUR_LICENSE.read_text(encoding="utf-8").partition("Permission is hereby granted")
    authors = ", ".join(package["authors"]) or f"the authors of {package['name']}"
    return f"MIT License\n\nCopyright (c) {authors}\n\n{terms[1]}{terms[2].strip()}"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main(*sys.argv[1:])
