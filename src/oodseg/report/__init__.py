"""Tables, charts and the one-file page that show the results of an evaluation."""
