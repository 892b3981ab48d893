"""Trainings: one module and one recipe per part, on Lightning."""
