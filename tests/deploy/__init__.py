"""What docs/examples/deploy ships, read by linters of its own kind and started."""
