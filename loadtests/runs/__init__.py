"""Real runs: servers in processes of their own, driven over sockets by Locust."""
