"""The self-contained runtime: an interpreter, its libraries, its loader and the step shim in one relocatable tree.

Step images need neither Python nor a C library: the tree brings its own loader, which is started by path, so the tree
works wherever it is mounted. This module is standard library only and runs as a script too (see runtime.Dockerfile).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

RUNTIME = "/atelier/runtime"
"""Where the tree lies in the runtime image, and where step containers find their copy."""

_PROBE = """
import json, ssl, sys, sysconfig
print(json.dumps({
    "binary": sys.executable, "stdlib": sysconfig.get_path("stdlib"), "version": "%d.%d" % sys.version_info[:2],
    "extensions": sysconfig.get_config_var("DESTSHARED"), "ca": ssl.get_default_verify_paths().cafile,
}))
"""
_LEAVE_OUT = frozenset(
    {
        "__pycache__",
        "_aix_support",
        "_bootsubprocess",
        "_osx_support",
        "_pydecimal",
        "_pyio",
        "aifc",
        "antigravity",
        "cProfile",
        "cgi",
        "cgitb",
        "chunk",
        "crypt",
        "curses",
        "dbm",
        "dist-packages",
        "distutils",
        "doctest",
        "ensurepip",
        "ftplib",
        "idlelib",
        "imaplib",
        "lib-dynload",
        "lib2to3",
        "mailbox",
        "msilib",
        "multiprocessing",
        "nntplib",
        "nturl2path",
        "pdb",
        "pickletools",
        "pip",
        "poplib",
        "profile",
        "pstats",
        "pyclbr",
        "pydoc",
        "pydoc_data",
        "setuptools",
        "site-packages",
        "smtpd",
        "smtplib",
        "sndhdr",
        "sqlite3",
        "sunau",
        "symtable",
        "tabnanny",
        "telnetlib",
        "test",
        "tests",
        "this",
        "tkinter",
        "tomllib",
        "trace",
        "turtle",
        "turtledemo",
        "unittest",
        "venv",
        "wave",
        "webbrowser",
        "wsgiref",
        "xml",
        "xmlrpc",
        "zipapp",
        "zoneinfo",
    }
)
_LEAVE_OUT_EXTENSION = re.compile(
    r"^(_test|_xx|xx|_codecs_|_tkinter|_curses|_sqlite3|_dbm|_gdbm|nis|readline|ossaudiodev|audioop|_crypt|_lsprof"
    r"|_multiprocessing|_decimal|_zoneinfo|spwd|syslog|_elementtree|pyexpat|_bz2|_lzma)"
)
_KEEP_ENCODING = re.compile(
    r"^(__init__|aliases|ascii|latin_1|iso8859_1|cp437|utf_8.*|utf_16.*|utf_32.*|idna|punycode|hex_codec|base64_codec"
    r"|unicode_escape|raw_unicode_escape|charmap)\.py$"
)
_LATE_LIBRARIES = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")


class CannotBuild(Exception):
    """This machine's Python cannot be made portable; the text says why."""


def build_runtime_tree(target: Path, python: str = sys.executable, package: Path | None = None) -> Path:
    """Make the tree below `target` from the interpreter `python` and the shim's `package` folder; returns `target`."""
    facts = _probe(python)
    if target.exists():
        shutil.rmtree(target)
    library = target / "lib"
    standard = library / f"python{facts['version']}"
    (target / "bin").mkdir(parents=True)
    _copy_standard_library(Path(facts["stdlib"]), standard)
    _copy_extensions(Path(facts["extensions"]), standard / "lib-dynload")
    shutil.copytree(
        package or _shim_package(), standard / "atelier_runtime", ignore=shutil.ignore_patterns("__pycache__")
    )
    _compile(python, standard)
    binary = target / "bin" / "python3"
    shutil.copyfile(Path(facts["binary"]).resolve(), binary)
    _copy_libraries([Path(facts["binary"]).resolve(), *(standard / "lib-dynload").glob("*.so")], library)
    _copy_settings(target, facts["ca"])
    _strip([binary, *library.glob("*.so*"), *(standard / "lib-dynload").glob("*.so")])
    for path in [binary, library / "ld.so"]:
        path.chmod(0o755)
    return target


def interpreter(runtime: str = RUNTIME) -> list[str]:
    """The words that start the interpreter of a tree at `runtime`; nothing of it enters the environment."""
    loader = [f"{runtime}/lib/ld.so", "--inhibit-cache", "--library-path", f"{runtime}/lib"]
    return [*loader, f"{runtime}/bin/python3", "-I", "-S", "-B", "-X", "utf8"]


def command(*arguments: str, runtime: str = RUNTIME) -> list[str]:
    """The words that start the shim of a tree at `runtime`."""
    return [*interpreter(runtime), "-m", "atelier_runtime", *arguments]


def _probe(python: str) -> dict[str, str]:
    """What `python` says about itself; the base interpreter when it is a virtual environment's."""
    base = subprocess.run(
        [python, "-I", "-c", "import os,sys; print(os.path.realpath(sys._base_executable))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer = subprocess.run(
        [base.stdout.strip(), "-I", "-S", "-c", _PROBE], capture_output=True, text=True, check=True, timeout=60
    )
    facts: dict[str, str] = json.loads(answer.stdout)
    return facts


def _shim_package() -> Path:
    import importlib.util

    spec = importlib.util.find_spec("atelier_runtime")
    if spec is None or not spec.submodule_search_locations:
        raise CannotBuild("The package atelier_runtime is not installed here; install atelier-sdk first.")
    return Path(next(iter(spec.submodule_search_locations)))


def _copy_standard_library(source: Path, target: Path) -> None:
    def ignore(folder: str, names: list[str]) -> list[str]:
        if Path(folder).name == "encodings":
            return [name for name in names if not _KEEP_ENCODING.match(name)]
        left_out = [name for name in names if name in _LEAVE_OUT or name.removesuffix(".py") in _LEAVE_OUT]
        return left_out + [name for name in names if name.startswith(("config-", "_sysconfigdata"))]

    shutil.copytree(source, target, ignore=ignore)


def _copy_extensions(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for path in source.glob("*.so"):
        if not _LEAVE_OUT_EXTENSION.match(path.name):
            shutil.copyfile(path, target / path.name)


def _compile(python: str, folder: Path) -> None:
    """Byte code only, with no time stamps in it: smaller, and the same input gives the same image."""
    options = ["-q", "-b", "-j", "2", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", folder.name]
    subprocess.run([python, "-m", "compileall", *options, str(folder)], check=True, timeout=300)
    for path in [*folder.rglob("*")]:
        if path.is_file() and path.suffix not in {".pyc", ".so"}:
            path.unlink()


def _copy_libraries(programs: Iterable[Path], target: Path) -> None:
    """What the programs are linked with, the loader as `ld.so`, and what the C library opens only when it needs it."""
    found: set[Path] = set()
    for program in programs:
        listing = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False, timeout=60)
        if "not found" in listing.stdout:
            raise CannotBuild(f"{program} needs libraries that are not here:\n{listing.stdout}")
        found |= {Path(path) for path in re.findall(r"(?:=>|^)\s*(/\S+) \(0x", listing.stdout, re.MULTILINE)}
    loader = next((path for path in found if path.name.startswith("ld-")), None)
    if loader is None:
        raise CannotBuild("The interpreter is not dynamically linked; use one that is.")
    shutil.copyfile(loader, target / "ld.so")
    for path in found:
        shutil.copyfile(path, target / path.name)
    c_library = next((path.parent for path in found if path.name.startswith("libc.so")), None)
    for name in _LATE_LIBRARIES if c_library else ():
        if c_library and (c_library / name).exists():
            shutil.copyfile(c_library / name, target / name)


def _copy_settings(target: Path, ca: str | None) -> None:
    (target / "etc").mkdir()
    if ca and Path(ca).exists():
        shutil.copyfile(ca, target / "etc" / "ca.pem")


def _strip(programs: Iterable[Path]) -> None:
    """Drop debug symbols where the machine can; the tree works without, it is only larger."""
    strip = shutil.which("strip")
    for program in programs if strip else ():
        subprocess.run([str(strip), "--strip-unneeded", str(program)], check=False, capture_output=True, timeout=60)


def build_image_root(target: Path, python: str = sys.executable, package: Path | None = None) -> Path:
    """Everything that the runtime image holds: the tree at its place, and what the C library looks for."""
    build_runtime_tree(target / RUNTIME.strip("/"), python, package)
    (target / "etc").mkdir(exist_ok=True)
    (target / "etc" / "nsswitch.conf").write_text("hosts: files dns\n")
    (target / "tmp").mkdir(exist_ok=True)
    (target / "tmp").chmod(0o1777)
    for path in target.rglob("*"):
        if path.name != "tmp":
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return target


def write_image(root: Path, archive: Path, reference: str) -> str:
    """Write `root` as a one-layer image from scratch (docker-archive that containerd and registries' tools load)."""
    layer = _layer(root)
    digest = hashlib.sha256(layer).hexdigest()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = json.dumps(
        {
            "architecture": machine,
            "os": "linux",
            "config": {"Entrypoint": command(), "Env": [f"SSL_CERT_FILE={RUNTIME}/etc/ca.pem"], "User": "65534:65534"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "atelier runtime"}],
        },
        sort_keys=True,
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [reference], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(archive, "w") as tar:
        for name, content in (("layer.tar", layer), (config_name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return f"sha256:{config_name.removesuffix('.json')}"


def _layer(root: Path) -> bytes:
    """All files, sorted and without owner or time: the same tree gives the same digest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(root.rglob("*")):
            info = tar.gettarinfo(path, str(path.relative_to(root)))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            with path.open("rb") if path.is_file() else io.BytesIO() as content:
                tar.addfile(info, content if path.is_file() else None)
    return buffer.getvalue()


def main() -> None:
    """`runtime_image.py ROOT [--archive FILE --reference NAME] [--package FOLDER]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder to make, the image's root")
    parser.add_argument("--package", type=Path, help="the shim's package folder (default: the installed one)")
    parser.add_argument("--archive", type=Path, help="also write an image to this file")
    parser.add_argument("--reference", default="atelier/runtime:latest", help="the image's name in the archive")
    options = parser.parse_args()
    build_image_root(options.root, package=options.package)
    if options.archive:
        sys.stdout.write(write_image(options.root, options.archive, options.reference) + "\n")


if __name__ == "__main__":
    main()
