"""What the scripts beside this file know about the package, the targets and the archives."""

import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
PACKAGE = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
VERSION = PACKAGE["version"]
# Whoever publishes writes the address of the repository into Cargo.toml. All else follows from it.
ADDRESS = PACKAGE["repository"].rstrip("/")
PLACEHOLDER = "/OWNER/"
SUMS = "SHA256SUMS"


def fail(text):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {text}")


def targets():
    """The targets of Rust, each with the system and the processor as Node.js names them."""
    lines = (HERE / "targets").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return {target: (system, processor) for target, system, processor in rows}


def program(target):
    return "ccsync.exe" if "windows" in target else "ccsync"


def archive(target):
    """The name of the archive. It has no version, so that an address of the newest one exists."""
    return f"ccsync-{target}" + (".zip" if "windows" in target else ".tar.gz")


def sums(directory):
    """The checksums of a directory of archives, by name."""
    lines = (directory / SUMS).read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
