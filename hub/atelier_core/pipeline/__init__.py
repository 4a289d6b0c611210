"""Pipelines: the document on disk, the immutable plan of a run, and the pure rules by which a run goes on."""
