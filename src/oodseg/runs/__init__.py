"""Resumable work over many inputs."""
