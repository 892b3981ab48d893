"""Tables, charts and the one-file page that show what an evaluation found."""
