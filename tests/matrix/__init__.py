"""The plugin beside the other plugins for pytest; run in an environment that has them."""
