"""Pipelines: snapshots, revisions, runs and their steps."""
