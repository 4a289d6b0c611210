"""Projects, members and secrets."""
