"""Registered models: versions with their contents, aliases, approvals; and what of runs is told to MLflow."""
