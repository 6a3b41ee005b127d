"""Evidence: what the strategies do, measured."""
