"""The demo's own pages: what readers, followers and the operator would see, side by side."""
