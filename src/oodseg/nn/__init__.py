"""Holds the building blocks that several networks share."""
