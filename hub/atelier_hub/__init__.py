"""The control plane: the only writer of platform state."""
