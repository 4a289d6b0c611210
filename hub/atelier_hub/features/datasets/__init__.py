"""Datasets and their versions: uploaded in pieces, kept by content, looked into without downloading."""
