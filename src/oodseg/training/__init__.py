"""Trainings: one module and one recipe a part, on Lightning."""
