"""The commands that the load tests add to `runner`, one file each.

They are found through the entry points `runner.commands`, for the product does not
import its tests. What takes long to import is imported when a command runs.
"""
