"""What is told of the server: log lines, metrics and spans, with all their names."""
