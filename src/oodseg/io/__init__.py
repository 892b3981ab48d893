"""What crosses the edge: pictures, score maps, volumes, the files of a run."""
