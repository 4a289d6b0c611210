"""MLflow as a process of the platform: in an environment of its own, with rules of ours before it."""
