"""The programs that the rig compiles from Go modules, and how.

They are kept per version under the rig's home, so a version bump builds only what it changes.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from .settings import BIN, MODULES
from .shell import run

KUBERNETES = "v1.34.4"
STAGING = KUBERNETES.replace("v1.", "v0.", 1)  # the published twins of Kubernetes' staging folders


@dataclass(frozen=True)
class Program:
    """One Go program: the module that is required, and the package that is its `main`."""

    name: str
    module: str
    version: str
    package: str
    needed: bool = True  # the cluster itself needs it; the others are built when they are named

    @property
    def target(self) -> Path:
        return BIN / f"{self.name}-{self.version}"


def _kubernetes(name: str) -> Program:
    return Program(name, "k8s.io/kubernetes", KUBERNETES, f"k8s.io/kubernetes/cmd/{name}")


def _extra(name: str, module: str, version: str, package: str = "") -> Program:
    return Program(name, module, version, f"{module}/{package}".rstrip("/"), needed=False)


PROGRAMS = {
    program.name: program
    for program in (
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        _kubernetes("kubectl"),
        Program("etcd", "go.etcd.io/etcd/server/v3", "v3.6.8", "go.etcd.io/etcd/server/v3"),
        Program("coredns", "github.com/coredns/coredns", "v1.14.7", "github.com/coredns/coredns"),
        _extra("helm", "helm.sh/helm/v3", "v3.22.0", "cmd/helm"),
        _extra("metrics-server", "sigs.k8s.io/metrics-server", "v0.9.0", "cmd/metrics-server"),
        _extra("jobset", "sigs.k8s.io/jobset", "v0.12.0"),
        _extra("kueue", "sigs.k8s.io/kueue", "v0.18.3", "cmd/kueue"),
        _extra(
            "trainer",
            "github.com/kubeflow/trainer/v2",
            "v2.1.0",
            "cmd/trainer-controller-manager",
        ),
    )
}


def missing() -> list[str]:
    """Programs that the cluster needs and that are not compiled yet."""
    return [program.name for program in PROGRAMS.values() if program.needed and not program.target.exists()]


def build(names: list[str] | None = None) -> None:
    """Compile what is missing: about ten minutes for all on two cold cores, nothing when all is there."""
    BIN.mkdir(parents=True, exist_ok=True)
    for name in names or [program.name for program in PROGRAMS.values() if program.needed]:
        program = PROGRAMS[name]
        if not program.target.exists():
            compile_program(program)
        _point(BIN / name, program.target)


def _point(link: Path, target: Path) -> None:
    """Swap the link in one step: a running `kubectl` call elsewhere must always find one."""
    if link.is_symlink() and os.readlink(link) == target.name:
        return
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(target.name)
    fresh.replace(link)


def compile_program(program: Program) -> None:
    """`go install` refuses modules with replace lines, hence a go.mod of our own that repeats them."""
    print(f"building {program.name} {program.version} …", flush=True)
    started = time.monotonic()
    work = module_folder(program)
    environment = dict(os.environ, CGO_ENABLED="0")
    run(
        "go", "get", "-tool", f"{program.package}@{program.version}",
        cwd=work, env=environment, timeout=900,
    )  # fmt: skip
    partial = program.target.with_name(f".{program.target.name}.part")
    run(
        "nice", "-n", "10",
        "go", "build", "-trimpath", "-ldflags", _link_flags(program), "-o", partial, program.package,
        cwd=work, env=environment, timeout=3600,
    )  # fmt: skip
    partial.replace(program.target)
    print(f"built {program.target.name} in {time.monotonic() - started:.0f} s", flush=True)


def module_folder(program: Program) -> Path:
    """A module of our own that requires the program's, written once."""
    work = MODULES / f"{program.module.replace('/', '_')}@{program.version}"
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "go.sum").exists():
        text = f"module rig\n\ngo 1.24.0\n\nrequire {program.module} {program.version}\n"
        (work / "go.mod").write_text(text)
        for old, new in _replacements(program):
            run("go", "mod", "edit", f"-replace={old}={new}", cwd=work)
    return work


def module_source(program: Program) -> Path:
    """The module's own files (manifests of an operator, say), as Go unpacked them."""
    asked = f"{program.module}@{program.version}"
    done = run("go", "mod", "download", "-json", asked, cwd=module_folder(program), timeout=600)
    return Path(json.loads(done.stdout)["Dir"])


def _replacements(program: Program) -> list[tuple[str, str]]:
    """Replace lines count only in the main module. Relative ones cannot be followed from outside:
    Kubernetes' staging folders are published under a version of their own, others are left out."""
    asked = f"{program.module}@{program.version}"
    done = run("go", "mod", "download", "-json", asked, cwd=MODULES, timeout=600)
    edited = run("go", "mod", "edit", "-json", json.loads(done.stdout)["GoMod"])
    found = []
    for line in json.loads(edited.stdout).get("Replace") or []:
        old, new = line["Old"]["Path"], line["New"]
        if new["Path"].startswith("./staging/"):
            found.append((old, f"{old}@{STAGING}"))
        elif not new["Path"].startswith("."):
            found.append((old, f"{new['Path']}@{new['Version']}"))
    return found


def _link_flags(program: Program) -> str:
    flags = ["-s", "-w"]
    if program.module == "k8s.io/kubernetes":  # clients refuse a server without a version
        major, minor, _ = program.version.lstrip("v").split(".")
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags.append(f"-X {package}.gitVersion={program.version}")
            flags.append(f"-X {package}.gitMajor={major} -X {package}.gitMinor={minor}")
    return " ".join(flags)
