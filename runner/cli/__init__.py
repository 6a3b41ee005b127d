"""What the commands of `runner/__main__.py` are made of: flags, banner, tables, chat, reload."""
