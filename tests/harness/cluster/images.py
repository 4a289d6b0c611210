"""Container images without a build daemon: Debian packages, hashed lock files, plain folders.

An image is a list of layers and a config. `build_image` makes one, `publish` puts it into the rig's
registry, `save` writes a docker-archive for `ctr images import`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from . import layers, registry
from .environments import PREFIX, install_lock
from .layers import Layer
from .machine import unpacked
from .settings import CONTAINERD_SOCKET, PAUSE_IMAGE, REGISTRY
from .shell import run, succeeds

SUITE = "bookworm"  # its Python is 3.11, and locks are installed for that one
PACKAGES = ("ca-certificates", "python3", "python3-distutils")
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@dataclass(frozen=True)
class Image:
    """A name with tag (`atelier/base:1`), the layers from the bottom up, and how to run it."""

    name: str
    layers: tuple[Layer, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""

    @property
    def reference(self) -> str:
        """What a pod writes in `image`."""
        return f"{REGISTRY}/{self.name}"

    def config(self) -> bytes:
        run_as = {
            "Env": [f"{key}={value}" for key, value in self.environment.items()],
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.command) or None,
            "User": self.user,
            "WorkingDir": self.workdir,
        }
        document = {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {key: value for key, value in run_as.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in self.layers]},
        }
        return json.dumps(document, sort_keys=True).encode()

    def digest(self) -> str:
        """Changes with the content, whatever the tag says."""
        return hashlib.sha256(self.config()).hexdigest()


def base(*packages: str) -> Image:
    """`atelier/base:1`: Debian minbase with Python 3.11 and certificates, and what else is named; about 45 s the first
    time."""
    wanted = (*PACKAGES, *packages)
    recipe = ["debian", SUITE, ARCHITECTURE, wanted, LEFT_OUT]
    layer = layers.made_once(recipe, lambda tar: _debian(tar, wanted))
    return Image("atelier/base:1", (layer,), {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}, command=("/bin/bash",))


def _debian(tar: Path, packages: tuple[str, ...]) -> None:
    leave_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    run(
        "mmdebstrap", "--mode=root", "--variant=minbase", "--quiet", "--skip=output/dev",
        f"--include={','.join(packages)}", *leave_out,
        "--customize-hook=ln -s /usr/bin/python3 $1/usr/local/bin/python",
        SUITE, tar, timeout=900, env=dict(os.environ, SOURCE_DATE_EPOCH="0"),
    )  # fmt: skip


def busybox() -> Image:
    """`atelier/busybox:1`: one static file and its links in /bin; no Python, no libc: the poorest image
    that a person may bring. Names resolve; its `wget` does not work (static glibc), `nc` does."""

    def pack(tar: Path) -> None:
        program = unpacked("busybox-static") / "bin" / "busybox"
        applets = run(program, "--list").stdout.split()
        root = tar.parent / "root"
        (root / "bin").mkdir(parents=True)
        (root / "bin" / "busybox").write_bytes(program.read_bytes())
        (root / "bin" / "busybox").chmod(0o755)
        for applet in applets:
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        (root / "etc").mkdir()
        (root / "etc" / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        layers.pack_tree(root, tar)

    layer = layers.made_once(["busybox", SUITE, ARCHITECTURE, 3], pack)
    return Image("atelier/busybox:1", (layer,), {"PATH": "/bin"}, command=("/bin/sh",))


def pause() -> Image:
    """The sandbox image of every pod."""
    source = Path(__file__).parent / "pause" / "main.go"

    def compile_and_pack(tar: Path) -> None:
        root = tar.parent / "root"
        root.mkdir()
        environment = dict(os.environ, CGO_ENABLED="0")
        run(
            "go",
            "build",
            "-trimpath",
            "-ldflags",
            "-s -w",
            "-o",
            root / "pause",
            source,
            env=environment,
            cwd=tar.parent,
        )
        layers.pack_tree(root, tar)

    layer = layers.made_once(["pause", ARCHITECTURE, source.read_text()], compile_and_pack)
    return Image(PAUSE_IMAGE, (layer,), entrypoint=("/pause",), user="65535:65535")


def environment_layer(lock: Path) -> Layer:
    """A hashed requirements file, installed under /opt/env for the base image's Python."""
    return layers.made_once(
        ["lock", ARCHITECTURE, SUITE, PREFIX, lock.read_text()], lambda tar: install_lock(lock, tar)
    )


def tree_layer(root: Path, inside: str = "") -> Layer:
    """Any folder as a layer, put at `inside` of the image."""
    recipe = ["tree", inside, layers.fingerprint(root)]
    return layers.made_once(recipe, lambda tar: layers.pack_tree(root, tar, inside.strip("/")))


def files_layer(files: Mapping[str, bytes | Path]) -> Layer:
    """Single files as a layer; never kept by recipe, for they are small."""
    recipe = ["files", {name: _content_hash(source) for name, source in files.items()}]
    return layers.made_once(recipe, lambda tar: layers.pack_files(files, tar))


def _content_hash(source: bytes | Path) -> str:
    data = source.read_bytes() if isinstance(source, Path) else source
    mode = source.stat().st_mode & 0o777 if isinstance(source, Path) else 0o644
    return f"{mode:o} {hashlib.sha256(data).hexdigest()}"


def build_image(
    name: str,
    *,
    on: Image | None = None,
    lock: Path | None = None,
    tree: tuple[Path, str] | None = None,
    extra_files: Mapping[str, bytes | Path] | None = None,
    **config: object,
) -> Image:
    """An image `name:tag` on top of another (the base, unless told; `scratch()` for nothing below).

    Layers come in this order, so that what changes often is on top: lock, tree `(folder, where)`,
    extra files. `config` sets fields of `Image`: command, entrypoint, user, workdir, environment.
    """
    below = base() if on is None else on
    stack = list(below.layers)
    environment = dict(below.environment)
    if lock:
        stack.append(environment_layer(lock))
        environment["PATH"] = f"/{PREFIX}/bin:{environment.get('PATH', SYSTEM_PATH)}"
    if tree:
        stack.append(tree_layer(*tree))
    if extra_files:
        stack.append(files_layer(extra_files))
    config["environment"] = environment | dict(config.get("environment") or {})  # type: ignore[call-overload]
    return replace(below, name=name, layers=tuple(stack), **config)  # type: ignore[arg-type]


def scratch() -> Image:
    """Nothing: to build an image of one folder on."""
    return Image("scratch", ())


def publish(image: Image) -> str:
    """Into the registry; returns the reference. A tag that changed is forgotten by the node, so that
    the next pod pulls it even with `IfNotPresent`."""
    if registry.push(image.name, image.config(), [(layer.digest, layer.path) for layer in image.layers]):
        ctr("images", "rm", image.reference)
    return image.reference


def save(image: Image, target: Path) -> None:
    """As a docker-archive, which needs no registry."""
    reference = image.name if image.name.startswith("localhost/") else image.reference
    names = [f"{index}.tar" for index, _ in enumerate(image.layers)]
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": names}]
    with tarfile.open(target, "w") as archive:
        for name, data in (("config.json", image.config()), ("manifest.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))
        for name, layer in zip(names, image.layers, strict=True):
            archive.add(layer.path, name)


def load(archive: Path) -> None:
    """Import a docker-archive into the node."""
    run(*CTR, "images", "import", archive, timeout=600)


CTR = ("ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io")


def ctr(*arguments: object) -> bool:
    """A question or a wish to containerd; whether it was granted."""
    return succeeds(*CTR, *arguments)
