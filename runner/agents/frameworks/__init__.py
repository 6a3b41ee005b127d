"""Other people's agents: one file for each framework, recognised by the names of its classes."""
