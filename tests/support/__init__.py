"""What the tests share: a real server process, a raw client, agents that misbehave."""
