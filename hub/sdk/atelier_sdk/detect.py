"""Files that look like secrets and so never leave the user's machine inside a snapshot."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

# By name: what tools keep keys and passwords in.
_NAMES = (
    ".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".netrc", "_netrc", ".pgpass", ".git-credentials", ".npmrc",
    ".pypirc", ".htpasswd", "kubeconfig", "credentials.json", "service-account*.json",
)  # fmt: skip
_FOLDERS = (".ssh", ".aws", ".gnupg", ".kube", ".azure")
_HARMLESS = (".env.example", ".env.sample", ".env.template", ".env.dist")

# By content: private keys, and tokens whose makers gave them a recognisable form.
_CONTENT = (
    ("a private key", re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("a GitHub token", re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})")),
    ("a GitLab token", re.compile(rb"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("an AWS access key", re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("a Google API key", re.compile(rb"\bAIza[A-Za-z0-9_-]{35}\b")),
    ("a Slack token", re.compile(rb"\bxox[abeoprs]-[0-9]{6,}-[A-Za-z0-9-]{10,}")),
    ("a Hugging Face token", re.compile(rb"\bhf_[A-Za-z0-9]{34,}\b")),
    ("a PyPI token", re.compile(rb"\bpypi-AgE[A-Za-z0-9_-]{50,}")),
    ("an OpenAI or Anthropic key", re.compile(rb"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{40,}")),
)
_LOOK_AT = 1024 * 1024  # secrets sit in small text files; data files are not read through


def secret_in_name(path: str) -> str:
    """Why the name alone says that the file is a secret, or an empty text."""
    *folders, name = path.split("/")
    if any(fnmatch(name, pattern) for pattern in _HARMLESS):
        return ""
    if any(folder in _FOLDERS for folder in folders):
        return "a folder of keys"
    return "a secret by its name" if any(fnmatch(name, pattern) for pattern in _NAMES) else ""


def secret_in_content(file: Path) -> str:
    """What kind of secret the beginning of the file holds, or an empty text."""
    with file.open("rb") as stream:
        beginning = stream.read(_LOOK_AT)
    return next((what for what, pattern in _CONTENT if pattern.search(beginning)), "")
