"""What crosses the edge: images, score maps, volumes, the files of a run."""
