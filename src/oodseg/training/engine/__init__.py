"""The engine of all trainings: recipe, schedule, samples, averaged weights, the loop, and its results."""
