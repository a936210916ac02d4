"""What we compare ourselves with: one small, readable script per baseline."""
