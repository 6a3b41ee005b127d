"""The strategies in virtual time: the simulation, its theory, and advice on settings."""
