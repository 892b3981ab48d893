"""Picture to class logits: the bundled compact network."""
