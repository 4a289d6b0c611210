"""Certificates and kubeconfigs, made once per home with openssl."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from .settings import API_PORT, API_SERVICE_IP, KUBECONFIG, NODE, NODE_IP, PKI
from .shell import run

API = f"https://{NODE_IP}:{API_PORT}"
DAYS = 3650
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

CLIENTS = {  # name: (common name, organisation)
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "proxy": ("system:kube-proxy", ""),
    "dns": ("coredns", "system:masters"),
}


def make_pki() -> None:
    """Two authorities (the API's and the aggregation layer's), a service-account key, and all leaves."""
    if KUBECONFIG.exists():
        return
    PKI.mkdir(parents=True, exist_ok=True)
    PKI.chmod(0o700)
    for authority in ("ca", "front-ca"):
        run(
            "openssl", "req", "-x509", *KEY, "-days", DAYS, "-subj", f"/CN={authority}",
            "-keyout", PKI / f"{authority}.key", "-out", PKI / f"{authority}.crt",
        )  # fmt: skip
    run("openssl", "genrsa", "-out", PKI / "sa.key", 2048)
    run("openssl", "rsa", "-in", PKI / "sa.key", "-pubout", "-out", PKI / "sa.pub")
    _sign("apiserver", "kube-apiserver", "", f"subjectAltName={_server_names()}")
    _sign("front", "front-proxy-client", "", "extendedKeyUsage=clientAuth", authority="front-ca")
    for name, (common_name, organisation) in CLIENTS.items():
        _sign(name, common_name, organisation, "extendedKeyUsage=clientAuth")
    for name in sorted(CLIENTS, key=lambda name: name == "admin"):  # admin last: it marks the end
        write_kubeconfig(name)


def _server_names() -> str:
    service = "kubernetes.default.svc"
    names = ["kubernetes", "kubernetes.default", service, f"{service}.cluster.local", "localhost"]
    addresses = ("127.0.0.1", NODE_IP, API_SERVICE_IP)
    return ",".join([f"DNS:{name}" for name in names] + [f"IP:{ip}" for ip in addresses])


def _sign(name: str, common_name: str, organisation: str, usage: str, authority: str = "ca") -> None:
    subject = f"/O={organisation}/CN={common_name}" if organisation else f"/CN={common_name}"
    request, extensions = PKI / f"{name}.csr", PKI / f"{name}.ext"
    run("openssl", "req", *KEY, "-subj", subject, "-keyout", PKI / f"{name}.key", "-out", request)
    extensions.write_text(usage + "\n")
    run(
        "openssl", "x509", "-req", "-days", DAYS, "-in", request, "-extfile", extensions,
        "-CA", PKI / f"{authority}.crt", "-CAkey", PKI / f"{authority}.key", "-CAcreateserial",
        "-out", PKI / f"{name}.crt",
    )  # fmt: skip
    request.unlink()
    extensions.unlink()


def kubeconfig_path(name: str) -> Path:
    return PKI / f"{name}.kubeconfig"


def write_kubeconfig(name: str) -> None:
    """Certificates are embedded, so that the file can be copied or mounted by itself."""
    user = {
        "client-certificate-data": _encoded(f"{name}.crt"),
        "client-key-data": _encoded(f"{name}.key"),
    }
    cluster = {"server": API, "certificate-authority-data": _encoded("ca.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "rig",
        "clusters": [{"name": "rig", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": name}}],
    }
    partial = PKI / f".{name}.kubeconfig"
    partial.write_text(json.dumps(document, indent=1))
    partial.chmod(0o600)
    partial.replace(kubeconfig_path(name))


def _encoded(file: str) -> str:
    return base64.b64encode((PKI / file).read_bytes()).decode()
