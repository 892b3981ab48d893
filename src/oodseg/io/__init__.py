"""Reads and writes images, score maps and volumes."""
