"""Pages for the newsroom's own people."""
