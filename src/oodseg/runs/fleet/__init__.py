"""Predicts a fleet's images into Parquet: any number of workers, any store, nothing lost, nothing twice."""
